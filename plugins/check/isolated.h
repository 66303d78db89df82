// A function in a process of its own, which may crash, hang or leak there: what it said, and how it ended.
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

/// What a child is at, in memory that its parent sees: where it ended when it ends badly.
struct Progress {
  char function[16];
  char document[32];
  std::uint64_t block;
  bool wrote_block, read_late;
};
/// Of this process; a child's writes are seen by its parent.
Progress& progress();
void now_in(const char* function, const std::string& document = {}, std::uint64_t block = 0);

using Say = std::function<void(Result, const std::string&)>;

/// How a child ends that came to its end: by exit, where LeakSanitizer looks for leaks, or at once.
enum class Ending { kExit, kAtOnce };

/// Forks: the caller has one thread. What `body` says comes back in order; what it throws, a signal, an exit,
/// a sanitizer's report or the deadline is a line kFailed behind.
std::vector<Line> isolated(std::chrono::milliseconds deadline, Ending ending,
                           const std::function<void(const Say&)>& body);

}  // namespace unroll::check
