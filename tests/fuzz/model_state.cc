// Any bytes as a document's saved state, with this checkpoint's tag before and a correct checksum after them,
// so that the fuzzer reaches the lengths and numbers: an error, or a state from which the model can continue.
#include <cmath>

#include <ATen/ATen.h>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"

using namespace unroll;

namespace {

constexpr std::size_t kTagBytes = 12;  // "urs2" and the checkpoint's fingerprint
constexpr std::int32_t kTokens = 50;

/// With everything that a state can hold: memories, states, routed memory, and the document cache.
ModelConfig config() {
  return parse_model_config({{"model_type", "block_recurrent_transformer"},
                             {"num_tokens", kTokens},
                             {"dim", 16},
                             {"depth", 2},
                             {"dim_head", 8},
                             {"heads", 2},
                             {"block_width", 4},
                             {"max_seq_len", 8},
                             {"recurrent_layers", {2}},
                             {"num_state_vectors", 2},
                             {"document_cache_tokens", 16},
                             {"routed_memory_layer", 1},
                             {"routed_memory_tokens", 16},
                             {"routed_memory_segment", 2},
                             {"routed_memory_top", 1},
                             {"routed_memory_dim", 4},
                             {"routed_memory_dtype", "int8"}});
}

std::unique_ptr<BlockModel> tiny_model() {
  const TemporaryFolder folder;
  at::manual_seed(1);
  save_checkpoint(folder.path(), config(), random_parameters(config()), "fp32");
  return load_block_model(folder.path(), {"cpu", "fp32", 1});
}

BlockOutput run(BlockModel& model, const ModelStatePtr& state) {
  const std::vector<std::int32_t> tokens = {1, 7, 7, 3};
  const BlockInput block{state, tokens, {}};
  return std::move(model.run({&block, 1}).front());
}

/// The checksum of block_state.cc: FNV-1a over 64-bit words.
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t value = 14695981039346656037u;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, sizeof(std::uint64_t));
    bytes.remove_prefix(part.size());
    std::uint64_t word = 0;
    std::memcpy(&word, part.data(), part.size());
    value = (value ^ word) * 1099511628211u;
    value ^= value >> 32;
  }
  return value;
}

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// After two blocks; without its checksum.
std::string saved_state(BlockModel& model) {
  const auto bytes = run(model, run(model, nullptr).next).next->serialize();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size() - sizeof(std::uint64_t)};
}

/// With other numbers at some places after the tag.
std::string changed(std::string bytes, fuzz::Input& input) {
  while (!input.empty()) {
    const auto room = bytes.size() - kTagBytes;
    const auto place = kTagBytes + input.number<std::uint32_t>() % room;
    const auto number = input.take(std::size_t{1} << input.byte() % 4);
    bytes.replace(place, number.size(), number);
  }
  return bytes;
}

}  // namespace

/// The first byte selects: changes to a state that the model saved, or all new bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto model = tiny_model();
  static const auto good = saved_state(*model);
  fuzz::Input input(data, size);
  auto bytes = input.byte() % 2 == 0 ? changed(good, input) : good.substr(0, kTagBytes).append(input.rest());
  const bool as_saved = bytes == good;
  const auto sum = checksum(bytes);
  bytes.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  ModelStatePtr state;
  try {
    state = model->restore(as_bytes(bytes));
  } catch (const std::runtime_error&) {
    fuzz::require(!as_saved, "what was saved can be restored");
    return 0;
  }
  const auto saved = state->serialize();
  fuzz::require(saved.size() == bytes.size() && std::memcmp(saved.data(), bytes.data(), saved.size()) == 0,
                "a state is saved as it was restored");
  fuzz::require(state->bytes() <= model->info().state_bytes, "a state takes no more memory than was said");
  const auto output = run(*model, state);
  fuzz::require(output.logprobs.size() == 4, "a block has a number for each token");
  return 0;
}
