#include "client/command_line.h"

int main(int argc, char** argv) {
  unroll::CommandLine line;
  unroll::add_read_commands(line);
  unroll::add_batch_command(line);
  unroll::add_follow_command(line);
  unroll::add_daemon_commands(line);
  unroll::add_model_commands(line);
  unroll::add_training_commands(line);
  unroll::add_adapt_command(line);
  unroll::add_generate_command(line);
  unroll::add_shell_commands(line);
  return line.run(argc, argv);
}
