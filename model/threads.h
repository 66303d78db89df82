// How the threads of LibTorch's OpenMP wait for each other.
#pragma once

namespace unroll {

/// By default they spin, and beside any other busy process that takes nearly all of the machine's time: 100
/// to 950 tokens a second were measured instead of 15,600. A thread that sleeps at once, though, is late for
/// the next loop: spinning for a tenth of a millisecond first is worth 2 to 3 %. The policy is read when the
/// library is loaded, so this sets it for a program that is started now (OMP_WAIT_POLICY=passive and
/// GOMP_SPINCOUNT). False, and nothing has changed, where one is chosen already.
bool choose_wait_policy();

/// As choose_wait_policy(), then this process starts itself again, once. Call it before anything is opened or
/// read; where it cannot restart, it returns.
void spin_only_briefly();

}  // namespace unroll
