// A program that puts another one, or itself, in its place.
#pragma once

#include <filesystem>

namespace unroll {

/// Runs `program` in this process's place, with the arguments that this one was started with. Returns, with
/// errno set, only where that cannot be done.
void run_instead(const std::filesystem::path& program);

}  // namespace unroll
