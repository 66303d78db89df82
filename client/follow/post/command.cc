// Runs a command for each event.
#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process_handle.h"
#include "base/unique_fd.h"
#include "base/write_all.h"
#include "client/follow/post/target.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr int kMostSeconds = 60;

/// This process's environment and the event's fields as UNROLL_ID, UNROLL_TEXT, ...
std::vector<std::string> environment_of(const json& event) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  for (const auto& [key, value] : event.items()) {
    std::string name = "UNROLL_";
    for (const char c : key) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    variables.push_back(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return variables;
}

/// A file in memory, at its beginning.
UniqueFd file_with(const std::string& text) {
  UniqueFd file(::memfd_create("event", MFD_CLOEXEC));
  if (!file || !write_all(file.get(), text) || ::lseek(file.get(), 0, SEEK_SET) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot make a file in memory");
  return file;
}

class Command : public Target {
 public:
  explicit Command(std::string command) : command_(std::move(command)) {}
  const std::string& name() const override { return name_; }

  Delivery deliver(const json& event) override {
    const pid_t process = start(event);
    const bool ended = wait(process);
    if (!ended) ::kill(-process, SIGKILL);
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended)
      return {Delivery::Result::kTryAgain, "it ran for more than " + std::to_string(kMostSeconds) + " s"};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return {Delivery::Result::kTryAgain,
            WIFEXITED(status) ? "it ended with exit code " + std::to_string(WEXITSTATUS(status))
                              : "it ended by signal " + std::to_string(WTERMSIG(status))};
  }

 private:
  /// In a process group of its own.
  pid_t start(const json& event) const {
    const UniqueFd input = file_with(event.dump() + "\n");
    std::array<std::string, 3> words = {"sh", "-c", command_};
    std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    std::vector<std::string> variables = environment_of(event);
    std::vector<char*> environment;
    environment.reserve(variables.size() + 1);
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE})
      ::sigaddset(&defaults, signal);  // unroll-post ignores them
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    pid_t process = -1;
    const int failed =
        ::posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments.data(), environment.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::system_error(failed, std::generic_category(), "cannot run /bin/sh");
    return process;
  }

  /// False if it runs too long.
  static bool wait(pid_t process) {
    const UniqueFd file = process_handle(process);
    if (!file) return true;  // an old kernel: without a limit
    pollfd ended = {file.get(), POLLIN, 0};
    return ::poll(&ended, 1, kMostSeconds * 1000) != 0;
  }

  const std::string command_, name_ = "the command of --exec";
};

}  // namespace

std::unique_ptr<Target> make_command(const std::string& command) {
  return std::make_unique<Command>(command);
}

}  // namespace unroll
