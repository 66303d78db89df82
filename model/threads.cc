#include "model/threads.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

namespace unroll {

void spin_only_briefly() {
  constexpr auto kPolicy = "OMP_WAIT_POLICY";
  if (std::getenv(kPolicy) != nullptr || ::setenv(kPolicy, "passive", 0) != 0) return;
  ::setenv("GOMP_SPINCOUNT", "10000", 0);
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string line{std::istreambuf_iterator<char>(in), {}};
  std::vector<char*> arguments;  // each ends with a NUL
  for (std::size_t begin = 0; begin < line.size(); begin = line.find('\0', begin) + 1) {
    arguments.push_back(&line[begin]);
  }
  if (arguments.empty()) return;
  arguments.push_back(nullptr);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) ::execv(program.c_str(), arguments.data());
}

}  // namespace unroll
