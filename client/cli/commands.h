// The commands of each program.
#pragma once

#include "client/cli/command_line.h"

namespace unroll {

/// The commands of `unroll`, which does not link LibTorch.
inline void add_client_commands(CommandLine& line) {
  add_read_commands(line);
  add_batch_command(line);
  add_follow_command(line);
  add_daemon_commands(line);
  add_snapshot_commands(line);
  add_plugin_commands(line);
}

/// All commands: those of `unroll-local`.
inline void add_all_commands(CommandLine& line) {
  add_client_commands(line);
  add_model_commands(line);
  add_training_commands(line);
  add_adapt_command(line);
  add_generate_command(line);
  add_tokenize_command(line);
  add_shell_commands(line);
}

}  // namespace unroll
