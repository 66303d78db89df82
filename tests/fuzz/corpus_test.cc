// Runs the fuzz targets without a fuzzer: each file of their corpora once, so that fixed findings stay fixed.
#include <algorithm>
#include <cstdint>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

// Each target's LLVMFuzzerTestOneInput under its own name: see CMakeLists.txt.
#define TARGET(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
UNROLL_FUZZ_TARGETS
#undef TARGET

namespace unroll {
namespace {

void replay(const std::string& target, int (*run)(const std::uint8_t*, std::size_t)) {
  std::vector<std::filesystem::path> files;
  const auto folder = std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  ASSERT_FALSE(files.empty());
  run(nullptr, 0);
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const auto bytes = read_file(file);
    run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
}

#define TARGET(name)            \
  TEST(FuzzCorpus, name) {      \
    replay(#name, fuzz_##name); \
  }
UNROLL_FUZZ_TARGETS
#undef TARGET

}  // namespace
}  // namespace unroll
