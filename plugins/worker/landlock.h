// Hides files from a worker with Landlock (landlock(7)).
#pragma once

#include <filesystem>

/// Restricts this thread and those that it starts: they can read any file except `hidden` and files beside it
/// whose names begin with its name (empty: any file). `writes`: they may write any file, including the hidden
/// one, because they must be able to write beside it. In either case they cannot access processes outside
/// this restriction, such as the memory of the process that started them.
///
/// Files created later in the folders above the hidden file cannot be opened either. Returns 0 or an errno;
/// returns 0 without effect if the kernel has no Landlock.
int unroll_landlock_enter(const std::filesystem::path& hidden, bool writes);
