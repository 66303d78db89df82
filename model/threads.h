// How the threads of LibTorch's OpenMP wait for each other.
#pragma once

namespace unroll {

/// By default they spin, and beside any other busy process that takes nearly all of the machine's time: 100
/// to 950 tokens a second were measured instead of 15,600. The policy is read when the library is loaded, so
/// this process starts itself again with OMP_WAIT_POLICY=passive, once, unless the user has chosen a policy.
/// Call it before anything is opened or read; where it cannot restart, it returns and nothing has changed.
void wait_without_spinning();

}  // namespace unroll
