// How the threads of LibTorch's OpenMP wait for each other.
#pragma once

namespace unroll {

/// By default they spin, and beside any other busy process that takes nearly all of the machine's time: 100
/// to 950 tokens a second were measured instead of 15,600. A thread that sleeps at once, though, is late for
/// the next loop: spinning for a tenth of a millisecond first is worth 2 to 3 %. The policy is read when the
/// library is loaded, so this process starts itself again with OMP_WAIT_POLICY=passive and GOMP_SPINCOUNT,
/// once, unless the user has chosen a policy. Call it before anything is opened or read; where it cannot
/// restart, it returns and nothing has changed.
void spin_only_briefly();

}  // namespace unroll
