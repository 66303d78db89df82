// What of the file system a worker does not see, by Landlock (landlock(7)).
#pragma once

#include <filesystem>

/// From now on this thread, and those that it starts, can open any file to read it but `hidden` and what lies
/// beside it with a name that begins as its does; empty: any. `writes`: it may write any file, the hidden one
/// too, since it must be able to write beside it. Neither way can it look into a process that has not entered
/// the same: not into the memory of the one that started it.
///
/// What comes into the folders above the hidden file later cannot be opened either. Returns 0 or an errno;
/// 0 and nothing done where the kernel has no Landlock.
int unroll_landlock_enter(const std::filesystem::path& hidden, bool writes);
