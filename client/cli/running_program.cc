#include "client/cli/running_program.h"

#include <cerrno>
#include <csignal>

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process_handle.h"
#include "base/program_prefix.h"
#include "client/cli/command_error.h"
#include "client/cli/text.h"

namespace unroll {

RunningProgram::RunningProgram(const std::string& name, const std::vector<std::string>& arguments, int input,
                               int output)
    : name_(name), said_(::memfd_create("said", MFD_CLOEXEC)) {
  const std::string program = program_prefix() / "libexec/unroll" / name;
  if (!said_) throw CommandError(system_message("cannot run " + program, errno) + "; try again");
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (input >= 0) ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, said_.get(), STDERR_FILENO);
  const int failed = ::posix_spawn(&process_, program.c_str(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    process_ = -1;
    throw CommandError(system_message("cannot run " + program, failed) + "; it needs python3 in PATH");
  }
  ended_ = process_handle(process_);
}

RunningProgram::~RunningProgram() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void RunningProgram::wait() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  std::string said(4096, '\0');
  const auto length = ::pread(said_.get(), said.data(), said.size(), 0);
  said.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  while (said.ends_with('\n')) said.pop_back();
  throw CommandError(said.empty() ? name_ + " failed; run the command again"
                                  : one_line(said.substr(said.rfind('\n') + 1)));
}

}  // namespace unroll
