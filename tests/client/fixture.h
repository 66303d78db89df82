// Shared by tests of the built programs: a tiny checkpoint with random weights, functions that run programs
// to their end, a daemon.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tests/temporary_folder.h"

namespace unroll::test {

/// build/bin/NAME.
std::filesystem::path program(const std::string& name);

/// Writes a checkpoint that loads quickly: random weights (the same for the same seed), the vocabulary of the
/// demonstration model.
void write_tiny_model(const std::filesystem::path& folder, std::uint64_t seed = 7);
/// The same for a pretrained transformer in Hugging Face's form, with the same vocabulary.
void write_tiny_pretrained(const std::filesystem::path& folder, std::uint64_t seed = 7);

struct Finished {
  int exit_code = -1;  ///< 128 + the signal, if one ended it.
  std::string out, err;
};

struct Surroundings {
  std::string input;  ///< Standard input, through a pipe.
  std::map<std::string, std::string>
      environment;  ///< Added to the test's own; an empty value unsets a variable.
};

/// Runs a program to its end. Neither standard output nor error is a terminal.
Finished run(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

/// As run(), but both are one terminal of 100 columns; `out` holds its content.
Finished run_on_terminal(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

/// A program that runs in the background; killed at the end if it still runs.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::filesystem::path& log,
          const std::map<std::string, std::string>& environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  bool running();
  pid_t pid() const { return pid_; }
  /// Sends the signal and waits for the end; the exit code as in Finished.
  int stop(int signal);

 private:
  pid_t pid_;
  std::optional<int> exit_code_;
};

/// unrolld on a socket of its own, ready.
class Daemon {
 public:
  /// `folder` receives the socket, the journal and the log. If the daemon does not start, throws with the
  /// log.
  Daemon(const std::filesystem::path& folder, const std::filesystem::path& model,
         const std::filesystem::path& config = {});
  std::string socket() const { return (folder_ / "s").string(); }
  int stop(int signal) { return process_.stop(signal); }
  pid_t pid() const { return process_.pid(); }

 private:
  std::filesystem::path folder_;
  Process process_;
};

}  // namespace unroll::test
