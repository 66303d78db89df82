// `unroll-local`: all of unroll's commands, with the model in this process.
#include <cstdio>

#include <unistd.h>

#include "client/cli/commands.h"
#include "client/reading/reader.h"

int main(int argc, char** argv) {
  unroll::CommandLine line(unroll::make_embedded_reader);
  unroll::add_all_commands(line);
  const int exit_code = line.run(argc, argv);
#ifndef __SANITIZE_ADDRESS__  // LeakSanitizer runs at exit
  // LibTorch's destructors take a tenth of a second; the kernel frees everything at once.
  std::fflush(nullptr);
  ::_exit(exit_code);
#endif
  return exit_code;
}
