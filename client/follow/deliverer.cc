#include "client/follow/deliverer.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/hex.h"
#include "base/program_prefix.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr std::chrono::seconds kBetweenStarts{10};

}  // namespace

Deliverer::Deliverer(const std::filesystem::path& spool, const DeliveryTarget& target)
    : folder_(spool.string() + "-" + to_hex(fnv1a(nlohmann::json(target).dump()))),
      target_(target),
      spool_(folder_) {
  start();
}

/// The program gets its target by standard input, not as an argument, because it may contain a password.
/// Later bytes tell it that there are new events; the end, that it must end.
void Deliverer::start() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw CommandError(system_message("cannot make a socket", errno));
  to_program_ = UniqueFd(ends[0]);
  const UniqueFd input(ends[1]);
  nlohmann::json settings = target_;
  settings["spool"] = folder_;
  const std::string line = settings.dump() + "\n";
  const std::string path = program_prefix() / "libexec/unroll/unroll-post";
  std::string name = "unroll-post";
  std::array<char*, 2> arguments = {name.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  const int failed = ::posix_spawn(&program_, path.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw CommandError(system_message("cannot run " + path, failed) + "; reinstall unroll");
  started_ = std::chrono::steady_clock::now();
  ::send(to_program_.get(), line.data(), line.size(), MSG_NOSIGNAL);
}

Deliverer::~Deliverer() {
  to_program_.reset();
  while (program_ > 0 && ::waitpid(program_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Deliverer::put(const std::string& id, const nlohmann::json& event) {
  spool_.put(id, event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  ::send(to_program_.get(), "\n", 1,
         MSG_NOSIGNAL | MSG_DONTWAIT);  // if it is full, the program knows already
}

void Deliverer::beat() {
  if (program_ > 0 && ::waitpid(program_, nullptr, WNOHANG) == program_) program_ = -1;
  if (program_ < 0 && std::chrono::steady_clock::now() - started_ > kBetweenStarts) start();
}

}  // namespace unroll
