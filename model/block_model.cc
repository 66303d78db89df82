#include "model/block_model.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"

namespace unroll {
namespace {

constexpr std::int32_t kBeginOfDocument = 1;  // tokenizer.h's; model/ does not depend on tokenizer/
constexpr std::int64_t kLogitRows = 128;  // logits exist for this many positions at a time: [128, num_tokens]
constexpr std::uint32_t kStateMagic = 0x31737275;  // "urs1": also the version

class State final : public ModelState {
 public:
  State(Recurrence recurrence, std::int32_t last_token)
      : recurrence(std::move(recurrence)), last_token(last_token) {}

  std::size_t bytes() const override {
    std::size_t total = sizeof(State);
    for (const auto& tensor : all()) total += tensor.nbytes();
    return total;
  }

  std::vector<std::byte> serialize() const override {
    std::vector<at::Tensor> compact;
    std::size_t size = 4 * sizeof(std::uint32_t);
    for (const auto& tensor : all()) {
      compact.push_back(tensor.to(at::kCPU, at::kFloat).contiguous());
      size += sizeof(std::uint32_t) + static_cast<std::size_t>(tensor.dim()) * sizeof(std::int64_t) +
              compact.back().nbytes();
    }
    std::vector<std::byte> out(size);
    auto* place = out.data();
    const auto put = [&place](const void* data, std::size_t bytes) {
      if (bytes > 0) std::memcpy(place, data, bytes);
      place += bytes;
    };
    const auto put_count = [&put](std::size_t count) {
      const auto value = static_cast<std::uint32_t>(count);
      put(&value, sizeof value);
    };
    put(&kStateMagic, sizeof kStateMagic);
    put(&last_token, sizeof last_token);
    put_count(recurrence.memories.size());
    put_count(recurrence.states.size());
    for (const auto& tensor : compact) {
      put_count(static_cast<std::size_t>(tensor.dim()));
      put(tensor.sizes().data(), tensor.sizes().size() * sizeof(std::int64_t));
      put(tensor.const_data_ptr(), tensor.nbytes());
    }
    return out;
  }

  const Recurrence recurrence;
  const std::int32_t last_token;

 private:
  std::vector<at::Tensor> all() const {
    auto tensors = recurrence.memories;
    tensors.insert(tensors.end(), recurrence.states.begin(), recurrence.states.end());
    return tensors;
  }
};

/// Reads what State::serialize wrote; every length is checked against what is there.
class StateReader {
 public:
  explicit StateReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }

  at::Tensor tensor() {
    const auto dimensions = get<std::uint32_t>();
    if (dimensions > 4) fail();
    std::vector<std::int64_t> shape;
    std::size_t count = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      shape.push_back(get<std::int64_t>());
      if (shape.back() < 0 || static_cast<std::size_t>(shape.back()) > bytes_.size()) fail();
      count *= static_cast<std::size_t>(shape.back());
      if (count > bytes_.size()) fail();
    }
    auto result = at::empty(shape, at::kFloat);
    std::memcpy(result.mutable_data_ptr(), take(count * sizeof(float)), count * sizeof(float));
    return result;
  }

  bool at_end() const { return bytes_.empty(); }
  [[noreturn]] static void fail() {
    throw std::runtime_error(
        "a saved model state is damaged or of another model; read the document again from its start");
  }

 private:
  const std::byte* take(std::size_t size) {
    if (size > bytes_.size()) fail();
    const auto* data = bytes_.data();
    bytes_ = bytes_.subspan(size);
    return data;
  }
  std::span<const std::byte> bytes_;
};

std::vector<float> to_vector(const at::Tensor& tensor) {
  const auto compact = tensor.to(at::kCPU, at::kFloat).contiguous();
  const auto* data = compact.const_data_ptr<float>();
  return {data, data + compact.numel()};
}

/// From the hidden states [length, dim] of a block, what its targets and wants ask for.
void score(const BlockRecurrentTransformer& model, const at::Tensor& hidden, const at::Tensor& targets,
           const Wants& wants, BlockOutput& output) {
  const auto append = [](std::vector<float>& out, const at::Tensor& rows) {
    const auto values = to_vector(rows);
    out.insert(out.end(), values.begin(), values.end());
  };
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += kLogitRows) {
    const auto rows = std::min(kLogitRows, hidden.size(0) - begin);
    const auto logprobs = at::log_softmax(model.to_logits(hidden.narrow(0, begin, rows)), -1);
    append(output.logprobs, logprobs.gather(1, targets.narrow(0, begin, rows).unsqueeze(1)));
    if (wants.entropy) append(output.entropy, -(logprobs.exp() * logprobs).sum(-1));
    if (wants.top_k > 0) {
      const auto [values, ids] = logprobs.topk(std::min<std::int64_t>(wants.top_k, logprobs.size(1)), -1);
      append(output.top_logprobs, values);
      const auto compact = ids.to(at::kCPU, at::kInt).contiguous();
      const auto* data = compact.const_data_ptr<std::int32_t>();
      output.top_ids.insert(output.top_ids.end(), data, data + compact.numel());
    }
  }
  if (wants.hidden) output.hidden = to_vector(hidden);
}

class TorchBlockModel final : public BlockModel {
 public:
  TorchBlockModel(BlockRecurrentTransformer model, ModelInfo info)
      : model_(std::move(model)), info_(std::move(info)) {
    const c10::InferenceMode guard;
    for (const auto& [name, tensor] : model_.parameters()) {
      if (BlockRecurrentTransformer::is_trainable(name)) info_.parameters += tensor.numel();
    }
    Recurrence recurrence;
    const auto tokens =
        at::zeros({1, info_.block_width}, at::TensorOptions(at::kLong).device(model_.device()));
    // Compressed memories grow for a few blocks before they are full.
    for (bool grows = true; grows;) {
      model_.forward_block(tokens, recurrence);
      const auto bytes = State(recurrence, 0).bytes();
      grows = bytes > info_.state_bytes && model_.config().use_compressed_mem;
      info_.state_bytes = std::max(info_.state_bytes, bytes);
    }
  }

  const ModelInfo& info() const override { return info_; }

  std::vector<BlockOutput> run(std::span<const BlockInput> blocks) override {
    const c10::InferenceMode guard;
    std::vector<BlockOutput> outputs;
    outputs.reserve(blocks.size());
    // One by one: the same bits whatever else is in the batch.
    for (const auto& block : blocks) outputs.push_back(run_one(block));
    return outputs;
  }

  ModelStatePtr restore(std::span<const std::byte> bytes) const override {
    StateReader reader(bytes);
    if (reader.get<std::uint32_t>() != kStateMagic) StateReader::fail();
    const auto last_token = reader.get<std::int32_t>();
    const auto memories = reader.get<std::uint32_t>();
    const auto states = reader.get<std::uint32_t>();
    const auto& config = model_.config();
    if ((memories != 0 && memories != config.depth) || states != config.recurrent_layers.size())
      StateReader::fail();
    Recurrence recurrence;
    for (std::uint32_t i = 0; i < memories; ++i) {
      recurrence.memories.push_back(reader.tensor().to(model_.device()));
      const auto& memory = recurrence.memories.back();
      if (memory.dim() != 4 || memory.size(0) != 2 || memory.size(1) != 1 ||
          memory.size(3) != config.dim_head || !holds_positions(memory.size(2))) {
        StateReader::fail();
      }
    }
    const std::vector<std::int64_t> state_shape{1, config.num_state_vectors, config.dim};
    for (std::uint32_t i = 0; i < states; ++i) {
      recurrence.states.push_back(reader.tensor().to(model_.device()));
      if (recurrence.states.back().sizes() != state_shape) StateReader::fail();
    }
    if (!reader.at_end() || last_token < 0 || last_token >= config.num_tokens) StateReader::fail();
    return std::make_shared<State>(std::move(recurrence), last_token);
  }

 private:
  /// Whether a memory can have so many: the block before, and up to half as many compressed ones in front.
  bool holds_positions(std::int64_t positions) const {
    const auto& config = model_.config();
    const auto most = config.block_width + (config.use_compressed_mem ? config.block_width / 2 : 0);
    return positions >= config.block_width && positions <= most;
  }

  /// The block's tokens are its targets; its inputs are the same shifted by one, the last token before it in
  /// front.
  BlockOutput run_one(const BlockInput& block) const {
    const auto length = static_cast<std::int64_t>(block.tokens.size());
    if (length < 1 || length > info_.block_width)
      throw std::invalid_argument("a block has 1 to block_width tokens");
    const auto* state = static_cast<const State*>(block.state.get());
    auto sequence = at::empty({length + 1}, at::kLong);
    auto* ids = sequence.mutable_data_ptr<std::int64_t>();
    ids[0] = state ? state->last_token : kBeginOfDocument;
    for (std::int64_t i = 0; i < length; ++i) {
      ids[i + 1] = block.tokens[static_cast<std::size_t>(i)];
      if (ids[i + 1] < 0 || ids[i + 1] >= info_.num_tokens) {
        throw std::invalid_argument("token " + std::to_string(ids[i + 1]) +
                                    " is not in the model's vocabulary of " +
                                    std::to_string(info_.num_tokens));
      }
    }
    sequence = sequence.to(model_.device());
    auto recurrence = state ? state->recurrence : Recurrence();
    const auto hidden =
        model_.forward_block(sequence.narrow(0, 0, length).unsqueeze(0), recurrence).squeeze(0);
    BlockOutput output;
    score(model_, hidden, sequence.narrow(0, 1, length), block.wants, output);
    output.next = std::make_shared<State>(std::move(recurrence), block.tokens.back());
    return output;
  }

  BlockRecurrentTransformer model_;
  ModelInfo info_;
};

at::Device choose_device(const std::string& name) {
  if (name == "cpu" || name == "auto") return at::kCPU;
  if (name == "cuda")
    throw std::runtime_error("device cuda is not available in this build; use --device cpu");
  throw std::runtime_error("unknown device '" + name + "': use auto, cpu or cuda");
}

at::ScalarType choose_dtype(const std::string& name) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name == "int8")
    throw std::runtime_error("arithmetic in int8 is not available yet; use --dtype fp32 or bf16");
  throw std::runtime_error("unknown dtype '" + name + "': use fp32, bf16 or int8");
}

}  // namespace

std::unique_ptr<BlockModel> load_block_model(const std::filesystem::path& directory,
                                             const ModelOptions& options) {
  const auto device = choose_device(options.device);
  const auto dtype = choose_dtype(options.dtype);
  if (options.threads > 0) at::set_num_threads(options.threads);
  const c10::InferenceMode guard;
  auto config = load_model_config(directory / "config.json");
  auto parameters = load_parameters(directory, config);
  for (auto& [name, tensor] : parameters) {
    // Only the matrices that multiply activations change precision; norms, gates and embeddings stay as they
    // are.
    const bool matrix = name.ends_with(".weight") && tensor.dim() == 2 && name != "token_emb.weight";
    tensor = tensor.to(device, matrix ? dtype : at::kFloat);
  }
  ModelInfo info;
  info.name = std::filesystem::absolute(directory).lexically_normal().filename().string();
  info.num_tokens = config.num_tokens;
  info.dim = config.dim;
  info.depth = config.depth;
  info.block_width = config.block_width;
  info.device = device.str();
  info.dtype = options.dtype;
  return std::make_unique<TorchBlockModel>(
      BlockRecurrentTransformer(std::move(config), std::move(parameters)), std::move(info));
}

}  // namespace unroll
