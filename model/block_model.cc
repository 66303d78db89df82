#include "model/block_model.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "base/hex.h"
#include "model/block_state.h"
#include "model/checkpoint.h"
#include "model/device_states.h"
#include "model/load_network.h"
#include "model/pretrained/checkpoint.h"

namespace unroll {
namespace {

/// Launches whose results the host has not taken: a GPU computes one while the host prepares the next and
/// takes the results of the one before.
constexpr std::size_t kLaunchesInFlight = 3;
constexpr std::int64_t kMostLogits = std::int64_t{1} << 23;  // that exist at a time: 32 MiB

/// On a CPU, matrices of some hundred rows are as fast as larger ones, which only overflow the second-level
/// caches. int8 needs more room per row: its gates stay in fp32 until their scale is known.
std::int64_t enough_rows_of_cpu(const std::string& dtype) {
  return dtype == "int8" ? 512 : 1024;
}

std::vector<float> to_vector(const at::Tensor& tensor) {
  const auto compact = tensor.to(at::kCPU, at::kFloat).contiguous();
  const auto* data = compact.const_data_ptr<float>();
  return {data, data + compact.numel()};
}

/// Mixes the document's cache into log-probabilities: those of the targets, and if `all` is given, those of
/// the whole vocabulary [rows, num_tokens]. Appends the targets to the cache.
void mix(DocumentCache& cache, std::span<const std::int32_t> targets, std::span<float> logprobs,
         at::Tensor* all) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto mixture = cache.predict();
    if (all) {
      const auto row = static_cast<std::int64_t>(i) * all->size(1);
      mixture.apply({all->mutable_data_ptr<float>() + row, static_cast<std::size_t>(all->size(1))});
    }
    const float network = logprobs[i];
    logprobs[i] = mixture.logprob(targets[i], network);
    cache.append(targets[i], mixture, network);
  }
}

/// Whether the device must return whole distributions because the cache changes them.
bool needs_all_logits(const Wants& wants, bool has_cache) {
  return has_cache && (wants.top_k > 0 || wants.entropy || wants.ranks || !wants.members.empty());
}

/// Adds to `output` what `wants` asks for beyond log-probabilities, from the hidden states [length, dim] of a
/// block that the network has scored. `cache` may be null.
void add_wanted(Network& network, const at::Tensor& hidden, const BlockInput& block, DocumentCache* cache,
                BlockOutput& output) {
  const auto& wants = block.wants;
  if (wants.hidden) output.hidden = to_vector(hidden);
  if (!needs_all_logits(wants, cache != nullptr)) {
    if (cache) mix(*cache, block.tokens, output.logprobs, nullptr);
    return;
  }
  const auto append = [](std::vector<float>& out, const at::Tensor& rows) {
    const auto values = to_vector(rows);
    out.insert(out.end(), values.begin(), values.end());
  };
  const auto targets =
      at::tensor(at::ArrayRef<std::int32_t>(block.tokens.data(), block.tokens.size()), at::kLong);
  const auto step = std::clamp<std::int64_t>(kMostLogits / network.shape().num_tokens, 16, 128);
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += step) {
    const auto rows = std::min(step, hidden.size(0) - begin);
    auto logprobs = at::log_softmax(network.logits(hidden.narrow(0, begin, rows)), -1);
    if (cache) {
      const auto first = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(rows);
      mix(*cache, block.tokens.subspan(first, count), std::span(output.logprobs).subspan(first, count),
          &logprobs);
    }
    if (wants.entropy) append(output.entropy, -(logprobs.exp() * logprobs).sum(-1));
    if (wants.top_k > 0) append_top(logprobs, wants.top_k, output.top_ids, output.top_logprobs);
    if (wants.ranks) append_ranks(logprobs, targets.narrow(0, begin, rows), output.ranks);
    if (!wants.members.empty()) append_mass(logprobs, wants.members, output.mass);
  }
}

/// Sets the number of LibTorch's threads for its lifetime.
class LibTorchThreads {
 public:
  explicit LibTorchThreads(int count) : before_(at::get_num_threads()) { set(count); }
  ~LibTorchThreads() { set(before_); }
  LibTorchThreads(const LibTorchThreads&) = delete;
  LibTorchThreads& operator=(const LibTorchThreads&) = delete;

 private:
  static void set(int count) {
    if (count != at::get_num_threads()) at::set_num_threads(count);
  }
  int before_;
};

/// Half of the GPU memory that the model leaves free is for the states of open documents, the rest for
/// computing.
std::optional<DeviceStates> room_for_states(at::Device device) {
  if (device.is_cpu()) return std::nullopt;
  return DeviceStates(at::accelerator::getMemoryInfo(device.index()).first / 2);
}

/// Shapes of a document's recurrence once its memories have their full length, without routed memory. The
/// tensors hold no numbers.
Recurrence full_recurrence(const NetworkShape& shape) {
  Recurrence full;
  if (shape.memory_length > 0)
    full.memories.assign(static_cast<std::size_t>(shape.depth),
                         at::empty({2, 1, shape.memory_length, shape.kv_dim}, shape.memory_type));
  full.states.assign(static_cast<std::size_t>(shape.states),
                     at::empty({1, shape.num_state_vectors, shape.dim}, at::kFloat));
  return full;
}

/// A folder's name, or a file's without its extension.
std::string model_name(const std::filesystem::path& model) {
  const auto path = std::filesystem::absolute(model).lexically_normal();
  return (std::filesystem::is_directory(path) ? path.filename() : path.stem()).string();
}

class TorchBlockModel final : public BlockModel {
 public:
  TorchBlockModel(std::unique_ptr<Network> network, ModelInfo info, std::uint64_t checkpoint,
                  std::int32_t first_input, std::size_t launch)
      : network_(std::move(network)),
        info_(std::move(info)),
        launch_(launch),
        on_device_(room_for_states(network_->device())),
        checkpoint_(checkpoint),
        first_input_(first_input) {
    const auto& shape = network_->shape();
    info_.state_bytes =
        BlockState(full_recurrence(shape), 0, new_cache(nullptr), checkpoint_).bytes() + shape.routed_bytes;
  }

  const ModelInfo& info() const override { return info_; }

  std::vector<BlockOutput> run(std::span<const BlockInput> blocks) override {
    const c10::InferenceMode guard;
    const LibTorchThreads threads(network_->has_own_threads() ? 1 : at::get_num_threads());
    std::vector<BlockOutput> outputs(blocks.size());
    const auto groups = group_by_shape(blocks);
    std::deque<Launch> in_flight;
    const auto complete_oldest = [&] {
      complete(blocks, in_flight.front(), outputs);
      in_flight.pop_front();
    };
    for (const auto& [shape, group] : groups) {
      for (std::span<const std::size_t> rest(group); !rest.empty();) {
        const auto count = std::min(rest.size(), launch_);
        in_flight.push_back(launch(blocks, rest.first(count), outputs));
        if (in_flight.size() == kLaunchesInFlight) complete_oldest();
        rest = rest.subspan(count);
      }
    }
    while (!in_flight.empty()) complete_oldest();
    if (on_device_) on_device_->make_room();
    return outputs;
  }

  ModelStatePtr restore(std::span<const std::byte> bytes) const override {
    return BlockState::deserialize(bytes, network_->shape(), checkpoint_);
  }

 private:
  using Group = std::vector<std::size_t>;  ///< Indices of the blocks of one launch.
  /// Tokens of the block; positions of the memories before it; whether there are states.
  using Shape = std::tuple<std::int64_t, std::int64_t, bool>;

  struct Launch {
    std::span<const std::size_t> group;
    at::Tensor hidden;              ///< [batch, length, dim]
    std::vector<Recurrence> after;  ///< One per row.
    std::function<void()> scored;   ///< From Network::score().
  };

  static const BlockState* state_of(const BlockInput& block) {
    return static_cast<const BlockState*>(block.state.get());
  }

  std::map<Shape, Group> group_by_shape(std::span<const BlockInput> blocks) const {
    std::map<Shape, Group> groups;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto length = static_cast<std::int64_t>(blocks[i].tokens.size());
      if (length < 1 || length > info_.block_width)
        throw std::invalid_argument("a block has 1 to block_width tokens");
      const auto* state = state_of(blocks[i]);
      const auto before = state ? state->recurrence() : std::make_shared<const Recurrence>();
      const auto past = before->memories.empty() ? 0 : before->memories.front().size(2);
      groups[{length, past, !before->states.empty()}].push_back(i);
    }
    return groups;
  }

  /// On a CPU, each row has the bits that it gets alone: no kernel sums over rows, and how a row's sums are
  /// split does not depend on the number of rows. (Elsewhere, use model.batch 1.)
  Launch launch(std::span<const BlockInput> blocks, std::span<const std::size_t> group,
                std::vector<BlockOutput>& outputs) const {
    std::vector<at::Tensor> sequences;
    std::vector<Recurrence> recurrences;
    for (const auto i : group) {
      sequences.push_back(sequence(blocks[i]));
      const auto* state = state_of(blocks[i]);
      recurrences.push_back(state ? state->recurrence()->to(network_->device()) : Recurrence());
    }
    const auto all = at::stack(sequences);  // [batch, length + 1]
    const auto length = all.size(1) - 1;
    auto recurrence = join(recurrences);
    const auto hidden =
        network_->forward_block(all.narrow(1, 0, length), recurrence);  // [batch, length, dim]
    std::vector<Scored> scored;
    for (const auto i : group) {
      auto& output = outputs[i];
      scored.push_back({blocks[i].tokens, &output.logprobs, nullptr});
      const auto& wants = blocks[i].wants;
      if (needs_all_logits(wants, has_cache())) continue;
      if (wants.entropy) scored.back().entropy = &output.entropy;
      scored.back().top_k = std::clamp<std::int64_t>(wants.top_k, 0, info_.num_tokens);
      scored.back().top_ids = &output.top_ids;
      scored.back().top_logprobs = &output.top_logprobs;
      if (wants.ranks) scored.back().ranks = &output.ranks;
      scored.back().members = wants.members;
      if (!wants.members.empty()) scored.back().mass = &output.mass;
    }
    return {group, hidden, recurrence.rows(all.size(0)), network_->score(hidden, std::move(scored))};
  }

  void complete(std::span<const BlockInput> blocks, Launch& launch, std::vector<BlockOutput>& outputs) {
    launch.scored();
    for (std::size_t row = 0; row < launch.group.size(); ++row) {
      const auto& block = blocks[launch.group[row]];
      auto& output = outputs[launch.group[row]];
      auto cache = new_cache(state_of(block));
      add_wanted(*network_, launch.hidden[static_cast<std::int64_t>(row)], block, cache.get(), output);
      const auto next = std::make_shared<const BlockState>(std::move(launch.after[row]), block.tokens.back(),
                                                           std::move(cache), checkpoint_);
      if (on_device_) on_device_->add(next);
      output.next = next;
    }
  }

  /// [length + 1]. The block's tokens are its targets. Its inputs are the same tokens shifted by one, with
  /// the last token before the block in front.
  at::Tensor sequence(const BlockInput& block) const {
    const auto* state = state_of(block);
    auto sequence = at::empty({static_cast<std::int64_t>(block.tokens.size()) + 1}, at::kLong);
    auto* ids = sequence.mutable_data_ptr<std::int64_t>();
    *ids++ = state ? state->last_token : first_input_;
    for (const auto token : block.tokens) {
      if (token < 0 || token >= info_.num_tokens) {
        throw std::invalid_argument("token " + std::to_string(token) +
                                    " is not in the model's vocabulary of " +
                                    std::to_string(info_.num_tokens));
      }
      *ids++ = token;
    }
    return sequence;
  }

  bool has_cache() const { return network_->shape().document_cache_tokens > 0; }

  /// A copy of the state's cache to continue with; an empty one at a document's start; null if the model has
  /// none.
  std::shared_ptr<DocumentCache> new_cache(const BlockState* state) const {
    if (state && state->cache) return std::make_shared<DocumentCache>(*state->cache);
    return has_cache()
               ? std::make_shared<DocumentCache>(info_.num_tokens, network_->shape().document_cache_tokens)
               : nullptr;
  }

  std::unique_ptr<Network> network_;
  ModelInfo info_;
  std::size_t launch_;                     // maximum number of blocks per launch
  std::optional<DeviceStates> on_device_;  // GPU only
  std::uint64_t checkpoint_;               // of the parameters; states with another one are refused
  std::int32_t first_input_;
};

}  // namespace

std::unique_ptr<BlockModel> load_block_model(const std::filesystem::path& model,
                                             const ModelOptions& options) {
  const c10::InferenceMode guard;
  auto loaded = load_network(model, options);
  const auto& shape = loaded.network->shape();
  ModelInfo info;
  info.name = model_name(model);
  info.parameters = loaded.parameters;
  info.weight_bytes = loaded.weight_bytes;
  info.num_tokens = shape.num_tokens;
  info.dim = shape.dim;
  info.depth = shape.depth;
  info.block_width = shape.block_width;
  const bool cpu = loaded.network->device().is_cpu();
  const auto rows = cpu                    ? enough_rows_of_cpu(loaded.dtype)
                    : options.gpu_rows > 0 ? options.gpu_rows
                                           : kRowsOfGpuLaunch;
  auto launch =
      static_cast<std::size_t>(std::clamp<std::int64_t>(rows / shape.block_width, 1, cpu ? 8 : 512));
  // The routed memories of documents differ in length.
  if (shape.routed_blocks > 0 || (cpu && !loaded.rows_are_independent)) launch = 1;
  info.batch = cpu || launch == 1 ? launch : launch * kLaunchesInFlight;
  info.device = loaded.network->device().str();
  info.dtype = loaded.dtype;
  info.form = loaded.form;
  info.form_problem = loaded.form_problem;
  info.checkpoint = to_hex(loaded.fingerprint);
  const auto first_input = options.first_input.value_or(loaded.network->shape().first_input);
  return std::make_unique<TorchBlockModel>(std::move(loaded.network), std::move(info), loaded.fingerprint,
                                           first_input, launch);
}

CheckpointSummary summarize_checkpoint(const std::filesystem::path& model, const ModelSettings& settings) {
  if (is_pretrained(model)) {
    const PretrainedCheckpoint checkpoint(model, settings);
    return {checkpoint.config().model_type, checkpoint.parameters()};
  }
  auto config = load_model_config(model / "config.json");
  apply_settings(config, settings);
  CheckpointSummary summary{std::string(kModelType)};
  for (const auto& [name, shape] : expected_parameters(config)) {
    if (BlockRecurrentTransformer::is_trainable(name))
      summary.parameters += std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  }
  return summary;
}

}  // namespace unroll
