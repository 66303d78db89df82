// Any file as safetensors: an error, or tensors whose bytes are all present and which can be written and read
// again.
#include "model/safetensors.h"

#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"

using namespace unroll;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  write_file(folder / "any", std::string(reinterpret_cast<const char*>(data), size));
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
  try {
    tensors = read_safetensors(folder / "any", &metadata);
  } catch (const std::runtime_error&) {
    return 0;
  }
  write_safetensors(folder / "again", tensors, metadata);
  std::map<std::string, std::string> metadata_again;
  const auto again = read_safetensors(folder / "again", &metadata_again);
  fuzz::require(metadata == metadata_again && tensors.size() == again.size(), "all is written");
  for (const auto& [name, tensor] : tensors) {
    const auto& other = again.at(name);
    fuzz::require(tensor.sizes() == other.sizes() && tensor.scalar_type() == other.scalar_type(),
                  "a tensor keeps its shape and type");
    fuzz::require(tensor.nbytes() == 0 ||
                      std::memcmp(tensor.const_data_ptr(), other.const_data_ptr(), tensor.nbytes()) == 0,
                  "a tensor keeps its bytes");
  }
  return 0;
}
