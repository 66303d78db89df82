#include "plugins/worker/worker_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor_passing.h"
#include "base/process_handle.h"
#include "plugins/library.h"
#include "plugins/worker/spawn.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeptWords = 4096;  // bytes kept of stdout and stderr
constexpr std::size_t kShownWords = 512;  // bytes of them in an error
constexpr std::size_t kReadBytes = 64 * 1024;
// The kernel's limit is this much above ours: a worker that exceeds ours slowly is detected after a
// call.
constexpr std::uint64_t kMargin = 4;
// Between the end of a worker's socket, or SIGKILL, and its exit.
constexpr std::chrono::milliseconds kLastMoment{200};

/// The environment variables passed to a worker: what programs need to run, no secrets.
std::vector<std::string> environment_of(const WorkerSpec& spec) {
  std::vector<std::string> list;
  for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
                           "VIRTUAL_ENV", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) list.push_back(std::string(name) + "=" + value);
  }
  std::string modules = (spec.root / "share/unroll/python").string();
  if (const char* theirs = std::getenv("PYTHONPATH"); theirs != nullptr && *theirs != '\0') {
    modules += std::string(":") + theirs;
  }
  list.push_back("PYTHONPATH=" + modules);
  list.push_back("PYTHONDONTWRITEBYTECODE=1");
  list.push_back("PYTHONHASHSEED=0");  // for reproducible outputs
  list.push_back("PYTHONSAFEPATH=1");  // do not import modules from the daemon's working folder
  list.push_back("UNROLL_SANDBOX_HIDDEN=" + spec.hidden.string());
  list.push_back("UNROLL_SANDBOX_LIBRARY=" + (spec.root / "lib/unroll/libunroll_sandbox.so").string());
  // The model uses all cores; a plugin with many threads would gain nothing.
  list.push_back("OMP_NUM_THREADS=1");
  list.push_back("OPENBLAS_NUM_THREADS=1");
  return list;
}

std::string size_text(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), mib < 1024 ? "%.0f MiB" : "%.1f GiB",
                mib < 1024 ? mib : mib / 1024);
  return text.data();
}

[[noreturn]] void fail_to_start(const WorkerSpec& spec, const std::string& why) {
  throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + spec.library.string() +
                                               ": its worker cannot be started (" + why + ")");
}

}  // namespace

WorkerProcess::WorkerProcess(const WorkerSpec& spec)
    : memory_limit_(spec.memory_bytes), deadline_(spec.deadline) {
  std::array<int, 2> sockets{}, pipe{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    fail_to_start(spec, std::string("socketpair: ") + std::strerror(errno));
  }
  socket_.reset(sockets[0]);
  const UniqueFd theirs(sockets[1]);
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) fail_to_start(spec, std::string("pipe: ") + std::strerror(errno));
  words_.reset(pipe[0]);
  const UniqueFd output(pipe[1]);
  for (const int ours : {socket_.get(), words_.get()}) {
    ::fcntl(ours, F_SETFL, ::fcntl(ours, F_GETFL) | O_NONBLOCK);
  }
  auto command = spec.command;
  for (const auto& argument :
       {std::string("--permissions"), std::to_string(spec.permissions), std::string("--memory"),
        std::to_string(spec.memory_bytes + spec.memory_bytes / kMargin)}) {
    command.push_back(argument);
  }
  try {
    pid_ = spawn(command, environment_of(spec), output.get(), theirs.get());
  } catch (const std::system_error& error) {
    fail_to_start(spec, error.what());
  }
  handle_ = process_handle(pid_);
  statistics_.reset(::open(("/proc/" + std::to_string(pid_) + "/statm").c_str(), O_RDONLY | O_CLOEXEC));
}

WorkerProcess::~WorkerProcess() {
  kill();
}

void WorkerProcess::kill() {
  if (has_ended()) return;
  ::kill(pid_, SIGKILL);
  pollfd polled{handle_.get(), POLLIN, 0};
  if (!std::exchange(killed_, true)) ::poll(&polled, 1, static_cast<int>(kLastMoment.count()));
  has_ended();
}

bool WorkerProcess::has_ended() {
  if (pid_ >= 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
  return pid_ < 0;
}

void WorkerProcess::send(std::string frame, int descriptor) {
  outgoing_.push_back({std::move(frame), 0, descriptor});
  while (!outgoing_.empty() && send_some()) {
  }
}

bool WorkerProcess::send_some() {
  Piece& piece = outgoing_.front();
  const bool with_descriptor = piece.descriptor >= 0 && piece.sent == 0;
  const auto sent = send_with_descriptors(socket_.get(), std::string_view(piece.bytes).substr(piece.sent),
                                          {&piece.descriptor, with_descriptor ? std::size_t{1} : 0});
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) outgoing_.clear();  // it is gone: receive() will find out why
    return false;
  }
  piece.sent += static_cast<std::size_t>(sent);
  if (piece.sent == piece.bytes.size()) outgoing_.pop_front();
  return true;
}

bool WorkerProcess::read_some() {
  std::array<char, kReadBytes> bytes;
  const auto received = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (received < 0) return errno == EAGAIN || errno == EINTR;
  if (received == 0) return false;
  reader_.append({bytes.data(), static_cast<std::size_t>(received)});
  return true;
}

bool WorkerProcess::read_words() {
  std::array<char, kKeptWords> bytes;
  const auto received = words_ ? ::read(words_.get(), bytes.data(), bytes.size()) : 0;
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (received <= 0) {
    words_.reset();
    return false;
  }
  said_.append(bytes.data(), static_cast<std::size_t>(received));
  if (said_.size() > kKeptWords) said_.erase(0, said_.size() - kKeptWords);
  return true;
}

std::optional<wire::Frame> WorkerProcess::receive(std::chrono::milliseconds time,
                                                  const std::string& function) {
  const auto until = Clock::now() + time;
  for (;;) {
    try {
      if (auto frame = reader_.next()) return frame;
    } catch (const wire::Error& error) {
      throw garbage(error.what(), function);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    const short wanted = outgoing_.empty() ? POLLIN : POLLIN | POLLOUT;
    std::array<pollfd, 2> polled{{{socket_.get(), wanted, 0}, {words_.get(), POLLIN, 0}}};
    const int ready =
        ::poll(polled.data(), polled.size(), static_cast<int>(std::clamp(left, 0L, 3'600'000L)));
    if (ready == 0 && left <= 0) return std::nullopt;
    if (ready <= 0) continue;
    if (polled[1].revents != 0) read_words();
    if (polled[0].revents & POLLOUT && !outgoing_.empty()) send_some();
    if (polled[0].revents & ~POLLOUT && !read_some()) throw end(function);
    if (polled[0].revents == 0 && Clock::now() >= until) return std::nullopt;  // it only floods its stderr
  }
}

bool WorkerProcess::is_quiet() {
  pollfd polled{socket_.get(), POLLIN, 0};
  read_words();  // output of its threads is harmless
  return reader_.empty() && ::poll(&polled, 1, 0) == 0;
}

WorkerLost WorkerProcess::hang(const std::string& function) {
  kill();
  return {WorkerLost::Cause::kHung,
          "did not return from " + function + " within " + std::to_string(deadline_.count()) +
              " ms (plugins.deadline_ms) and was killed",
          last_words()};
}

WorkerLost WorkerProcess::garbage(const std::string& what, const std::string& function) {
  kill();
  return {WorkerLost::Cause::kItself,
          "sent an invalid message (" + what + ") in " + function + " and was killed", last_words()};
}

std::uint64_t WorkerProcess::resident_bytes() const {
  std::array<char, 128> text{};
  if (::pread(statistics_.get(), text.data(), text.size() - 1, 0) <= 0) return 0;
  unsigned long long total = 0, resident = 0, shared = 0;
  if (std::sscanf(text.data(), "%llu %llu %llu", &total, &resident, &shared) != 3 || resident < shared)
    return 0;
  return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void WorkerProcess::check_memory(const std::string& function) {
  const auto held = resident_bytes();
  if (memory_limit_ == 0 || held <= memory_limit_) return;
  kill();
  throw WorkerLost(WorkerLost::Cause::kMemory,
                   "held " + size_text(held) + " after " + function + ", its limit is " +
                       size_text(memory_limit_) + " (plugins.memory_bytes), and was killed",
                   last_words());
}

std::string WorkerProcess::memory_words() const {
  const auto held = resident_bytes();
  if (memory_limit_ == 0 || held < memory_limit_ / 10 * 9) return {};
  return "; its worker holds " + size_text(held) + ", its limit is " + size_text(memory_limit_) +
         " (plugins.memory_bytes)";
}

std::string WorkerProcess::last_words() {
  constexpr int kPipeful = 32;
  for (int i = 0; i < kPipeful && read_words(); ++i) {
  }
  while (!said_.empty() && (said_.back() == '\n' || said_.back() == ' ')) said_.pop_back();
  if (said_.empty()) return {};
  auto begin = said_.size() > kShownWords ? said_.size() - kShownWords : 0;
  if (begin > 0) {  // from the beginning of a line if possible
    const auto line = said_.find('\n', begin);
    if (line != std::string::npos) begin = line + 1;
  }
  return "; its last output: " + printable(std::string_view(said_).substr(begin), kShownWords);
}

WorkerLost WorkerProcess::end(const std::string& function) {
  pollfd polled{handle_.get(), POLLIN, 0};
  const bool ended = ::poll(&polled, 1, static_cast<int>(kLastMoment.count())) > 0;
  int status = 0;
  if (ended && ::waitpid(pid_, &status, WNOHANG) == pid_) pid_ = -1;
  kill();
  std::string how;
  auto cause = WorkerLost::Cause::kItself;
  if (!ended) {
    how = "closed its connection";
  } else if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const char* name = ::sigdescr_np(signal);
    how = "was killed by signal " + std::to_string(signal) + " (" + (name ? name : "unknown") + ")";
    if (signal == SIGKILL) cause = WorkerLost::Cause::kOutside;
  } else {
    how = "ended with exit code " + std::to_string(WEXITSTATUS(status));
  }
  // (Its memory cannot be queried any more: ru_maxrss starts from this process's memory. A worker that
  // crashes near its limit reports that itself.)
  return {cause, how + " in " + function, last_words()};
}

}  // namespace unroll
