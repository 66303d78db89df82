// Any file as config.json beside a model's weights, and as the index of its shards: an error, or a
// configuration with computable sizes, and all the weights that it describes.
#include <cmath>

#include <ATen/ATen.h>

#include "model/pretrained/checkpoint.h"
#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"

using namespace unroll;

namespace {

namespace fs = std::filesystem;

/// A folder whose other files are those of a small model.
struct Folder {
  Folder(const char* weights, const char* copied) {
    const auto golden = fs::path(UNROLL_SOURCE_DIR) / "tests/model/pretrained/golden/llama";
    fs::copy_file(golden / "model.safetensors", path / weights);
    if (copied) fs::copy_file(golden / copied, path / copied);
  }
  TemporaryFolder path;
};

void check_sizes(const PretrainedConfig& config) {
  fuzz::require(config.inverse_frequencies.size() == static_cast<std::size_t>(config.head_dim / 2),
                "there is a frequency for each pair");
  for (const auto frequency : config.inverse_frequencies)
    fuzz::require(std::isfinite(frequency) && frequency <= 1, "a frequency is a number");
  // In doubles first: integers would overflow unnoticed.
  const double state = 2.0 * static_cast<double>(config.memory_positions()) *
                       static_cast<double>(config.kv_dim()) * static_cast<double>(config.layers) *
                       sizeof(float);
  fuzz::require(state < 9e18, "a state's bytes can be counted");
  fuzz::require(config.heads % config.kv_heads == 0, "heads share keys evenly");
  for (const auto& [name, shape] : expected_tensors(config)) {
    double bytes = sizeof(float);
    for (const auto dimension : shape) bytes *= static_cast<double>(dimension);
    fuzz::require(bytes > 0 && bytes < 9e18, "a weight's bytes can be counted");
  }
}

void read_model(const fs::path& path) {
  PretrainedCheckpoint checkpoint(path);
  for (const auto& [name, shape] : expected_tensors(checkpoint.config()))
    fuzz::require(checkpoint.tensor(name).sizes() == at::IntArrayRef(shape), "a weight has its shape");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder with_config("model.safetensors", nullptr), with_index("a.safetensors", "config.json");
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    write_file(with_config.path / "config.json", text);
    auto config = load_pretrained_config(with_config.path / "config.json");
    apply_settings(config, {});
    check_sizes(config);
    read_model(with_config.path.path());
  } catch (const std::runtime_error&) {
  }
  try {
    write_file(with_index.path / "model.safetensors.index.json", text);
    read_model(with_index.path.path());
  } catch (const std::runtime_error&) {
  }
  return 0;
}
