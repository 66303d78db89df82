// Any file as the daemon's configuration and as a model's: a printable error, or a configuration that is the
// same when it is printed and read again.
#include "config/config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/config.h"
#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"

using namespace unroll;

namespace {

void read_daemon(const std::filesystem::path& file) {
  Config config;
  try {
    config = load_config(file);
  } catch (const Error&) {
    return;
  }
  write_file(file, print_config(config));
  fuzz::require(load_config(file) == config, "a daemon's configuration is the same when it is read again");
}

void read_model(const std::filesystem::path& file) {
  ModelConfig config;
  try {
    config = load_model_config(file);
  } catch (const std::runtime_error&) {
    return;
  }
  fuzz::require(parse_model_config(to_json(config)) == config,
                "a model's configuration is the same when it is read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  const auto file = folder / "config.json";
  write_file(file, std::string(reinterpret_cast<const char*>(data), size));
  read_model(file);
  read_daemon(file);
  return 0;
}
