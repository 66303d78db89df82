// Runs a function in a child process, in which it may crash, hang or leak, and collects its results.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace unroll::check {

enum class Result { kOk, kNote, kFailed };
struct Line {
  Result result = Result::kOk;
  std::string text;
};

/// A child's current position, in memory shared with its parent, which reports it if the child crashes.
struct Progress {
  char function[16];
  char document[32];
  std::uint64_t block;
  bool wrote_block, read_late;
};
/// This process's progress; the parent sees a child's writes.
Progress& progress();
void now_in(const char* function, const std::string& document = {}, std::uint64_t block = 0);

using Say = std::function<void(Result, const std::string&)>;

/// How a child ends after the function returned: by exit(), which runs LeakSanitizer, or at once.
enum class Ending { kExit, kAtOnce };

/// Forks; the caller must have only one thread. Returns the lines of `body` in order. An exception, a signal,
/// an exit, a sanitizer's report or the deadline adds a kFailed line at the end.
std::vector<Line> isolated(std::chrono::milliseconds deadline, Ending ending,
                           const std::function<void(const Say&)>& body);

}  // namespace unroll::check
