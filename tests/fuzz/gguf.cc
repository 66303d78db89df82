// Any file as GGUF, and as a model: an error, or values, tensors and weights whose bytes are all present.
#include <ATen/ATen.h>

#include "base/gguf_file.h"
#include "model/pretrained/checkpoint.h"
#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"

using namespace unroll;

namespace {

/// A value may have another kind than the one asked for.
template <typename Call>
void ask(Call call) {
  try {
    call();
  } catch (const std::runtime_error&) {
  }
}

std::size_t sum = 0;  // reads every byte, so that the sanitizer checks it

void read_whole(const GgufFile& file) {
  for (const auto& tensor : file.tensors()) {
    std::size_t numbers = 1;
    for (const auto dimension : tensor.shape) numbers *= static_cast<std::size_t>(dimension);
    fuzz::require(tensor.data.size() == numbers / tensor.type->block_values * tensor.type->block_bytes,
                  "a tensor has the bytes of its shape");
    for (const auto byte : tensor.data) sum += std::to_integer<std::size_t>(byte);
    fuzz::require(file.find_tensor(tensor.name) == &tensor, "a tensor is found by its name");
  }
  for (const auto* key :
       {"general.architecture", "general.alignment", "llama.rope.freq_base", "tokenizer.ggml.tokens",
        "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.add_bos_token"}) {
    ask([&] { sum += file.integer(key).has_value(); });
    ask([&] { sum += file.number(key).has_value(); });
    ask([&] { sum += file.boolean(key).has_value(); });
    ask([&] { sum += std::string(file.string(key).value_or("")).size(); });
    ask([&] {
      for (const auto text : file.strings(key).value_or(std::vector<std::string_view>()))
        sum += std::string(text).size();
    });
    ask([&] { sum += file.integers(key).value_or(std::vector<std::int64_t>()).size(); });
    ask([&] { sum += file.numbers(key).value_or(std::vector<float>()).size(); });
  }
}

void read_model(const std::filesystem::path& path) {
  PretrainedCheckpoint checkpoint(path, {{"block_width", 8}});
  for (const auto& [name, shape] : expected_tensors(checkpoint.config()))
    fuzz::require(checkpoint.tensor(name).sizes() == at::IntArrayRef(shape), "a weight has its shape");
  checkpoint.fingerprint();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  const auto path = folder / "any.gguf";
  write_file(path, std::string(reinterpret_cast<const char*>(data), size));
  try {
    read_whole(GgufFile(path));
    read_model(path);
  } catch (const std::runtime_error&) {
  }
  return 0;
}
