#include "plugins/check/isolated.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <system_error>

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/library.h"

namespace unroll::check {
namespace {

constexpr std::size_t kKeptErrors = 16 * 1024;  // bytes of the child's stderr
constexpr int kDone = 0;                        // a normal exit; sanitizers exit with another status

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Pipe {
  Pipe() {
    if (::pipe(ends) != 0) fail("a check's process cannot be started: pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
  int ends[2];
};

void write_line(int descriptor, Result result, const std::string& text) {
  const std::string line =
      std::to_string(static_cast<int>(result)) + printable(text, 4096) + "\n";  // in one piece
  if (::write(descriptor, line.data(), line.size()) < 0) ::_exit(1);            // the parent is gone
}

[[noreturn]] void run_child(Pipe& lines, Pipe& errors, Ending ending,
                            const std::function<void(const Say&)>& body) {
  ::dup2(errors.ends[1], STDERR_FILENO);
  ::dup2(errors.ends[1], STDOUT_FILENO);  // keeps what a plugin prints out of the report
  errors.close_end(0);
  errors.close_end(1);
  lines.close_end(0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int out = lines.ends[1];
  try {
    body([out](Result result, const std::string& text) { write_line(out, result, text); });
  } catch (const std::exception& e) {
    write_line(out, Result::kFailed, e.what());
  }
  write_line(out, Result::kOk, "");  // marks the end
  if (ending == Ending::kExit) std::exit(kDone);
  ::_exit(kDone);
}

/// Reads both pipes to their ends. Returns false if the deadline expires first.
bool read_all(Pipe& lines, Pipe& errors, std::chrono::steady_clock::time_point deadline, std::string& said,
              std::string& wrote) {
  while (lines.ends[0] >= 0 || errors.ends[0] >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd polled[2] = {{lines.ends[0], POLLIN, 0}, {errors.ends[0], POLLIN, 0}};
    if (::poll(polled, 2, static_cast<int>(left.count())) < 0 && errno != EINTR) fail("poll");
    const auto take = [&](Pipe& pipe, const pollfd& poll, std::string& into, std::size_t limit) {
      if (poll.fd < 0 || poll.revents == 0) return;
      char buffer[4096];
      const auto count = ::read(pipe.ends[0], buffer, sizeof buffer);
      if (count <= 0) return pipe.close_end(0);
      into.append(buffer, std::min(static_cast<std::size_t>(count), limit - std::min(limit, into.size())));
    };
    take(lines, polled[0], said, SIZE_MAX);
    take(errors, polled[1], wrote, kKeptErrors);
  }
  return true;
}

std::string place() {
  const Progress& at = progress();
  std::string text = at.function[0] != 0 ? std::string(" in ") + at.function : " while it was loaded";
  if (at.document[0] != 0) text += std::string(", document \"") + at.document + "\"";
  if (std::string_view(at.function) == "process") text += ", block " + std::to_string(at.block);
  return text;
}

/// The error and the first frames of a sanitizer's report.
std::string sanitizer_report(const std::string& wrote) {
  std::string report;
  std::size_t frames = 0;
  for (std::size_t begin = 0; begin < wrote.size() && frames < 4;) {
    const auto end = std::min(wrote.find('\n', begin), wrote.size());
    auto line = wrote.substr(begin, end - begin);
    begin = end + 1;
    line.erase(0, line.find_first_not_of(' '));
    const bool frame = line.starts_with("#");
    if (frame) ++frames;
    if (frame || line.find("ERROR: ") != std::string::npos ||
        line.find("runtime error: ") != std::string::npos) {
      report += (report.empty() ? "" : "; ") + line;
    }
  }
  return report;
}

std::string bad_end(int status, const std::string& wrote) {
  const Progress& at = progress();
  if (at.wrote_block)
    return "it wrote into a block" + place() + "; blocks are read-only memory, shared by all";
  if (at.read_late) {
    return "it read a block after the call it was borrowed for had returned" + place() +
           "; copy what is kept";
  }
  const std::string report = sanitizer_report(wrote);
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return "it was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")" + place() +
           (report.empty() ? "" : ": " + report);
  }
  if (!report.empty()) return report;
  return "it ended the process with exit status " + std::to_string(WEXITSTATUS(status)) + place();
}

}  // namespace

Progress& progress() {
  static auto* shared = static_cast<Progress*>(
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) fail("mmap");
  return *shared;
}

void now_in(const char* function, const std::string& document, std::uint64_t block) {
  Progress& at = progress();
  std::snprintf(at.function, sizeof at.function, "%s", function);
  std::snprintf(at.document, sizeof at.document, "%s", document.c_str());
  at.block = block;
}

std::vector<Line> isolated(std::chrono::milliseconds deadline, Ending ending,
                           const std::function<void(const Say&)>& body) {
  progress() = {};
  Pipe lines, errors;
  const ::pid_t child = ::fork();
  if (child < 0) fail("a check's process cannot be started: fork");
  if (child == 0) run_child(lines, errors, ending, body);
  lines.close_end(1);
  errors.close_end(1);

  std::string said, wrote;
  const bool in_time = read_all(lines, errors, std::chrono::steady_clock::now() + deadline, said, wrote);
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }

  std::vector<Line> found;
  for (std::size_t begin = 0; begin < said.size();) {
    const auto end = std::min(said.find('\n', begin), said.size());
    found.push_back({static_cast<Result>(said[begin] - '0'), said.substr(begin + 1, end - begin - 1)});
    begin = end + 1;
  }
  const bool ended = !found.empty() && found.back().text.empty();
  if (ended) found.pop_back();
  if (!in_time) {
    found.push_back(
        {Result::kFailed, "it did not return within " + std::to_string(deadline.count()) + " ms" + place()});
  } else if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != kDone) {
    if (ended) now_in("exit");
    found.push_back({Result::kFailed, bad_end(status, wrote)});
  }
  return found;
}

}  // namespace unroll::check
