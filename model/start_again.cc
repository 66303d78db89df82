#include "model/start_again.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

namespace unroll {

void run_instead(const std::filesystem::path& program) {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string line{std::istreambuf_iterator<char>(in), {}};
  std::vector<char*> arguments;  // each ends with a NUL
  for (std::size_t begin = 0; begin < line.size(); begin = line.find('\0', begin) + 1) {
    arguments.push_back(&line[begin]);
  }
  errno = ENOENT;
  if (arguments.empty()) return;
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
}

}  // namespace unroll
