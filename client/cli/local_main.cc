// `unroll-local`: all of unroll's commands, with the network in this process.
#include <cstdio>

#include <unistd.h>

#include "client/cli/commands.h"
#include "client/reading/reader.h"

int main(int argc, char** argv) {
  unroll::CommandLine line(unroll::make_embedded_reader);
  unroll::add_all_commands(line);
  const int exit_code = line.run(argc, argv);
#ifndef __SANITIZE_ADDRESS__  // which looks for leaks at the very end
  // LibTorch takes a tenth of a second to take itself down, which the kernel does at once.
  std::fflush(nullptr);
  ::_exit(exit_code);
#endif
  return exit_code;
}
