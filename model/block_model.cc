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
#include <c10/core/InferenceMode.h>

#include "base/hex.h"
#include "model/block_starts.h"
#include "model/block_state.h"
#include "model/checkpoint.h"
#include "model/device_states.h"
#include "model/libtorch_threads.h"
#include "model/load_network.h"
#include "model/pretrained/checkpoint.h"
#include "model/wanted_outputs.h"

namespace unroll {
namespace {

/// Launches whose results the host has not taken: a GPU computes one while the host prepares the next and
/// takes the results of the one before.
constexpr std::size_t kLaunchesInFlight = 3;

/// On a CPU, matrices of some hundred rows are as fast as larger ones, which only overflow the second-level
/// caches. int8 needs more room per row: its gates stay in fp32 until their scale is known.
std::int64_t enough_rows_of_cpu(const std::string& dtype) {
  return dtype == "int8" ? 512 : 1024;
}

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
    const LibTorchThreads threads(*network_);
    std::vector<BlockOutput> outputs(blocks.size());
    starts_.clean();
    const auto groups = group_by_shape(blocks);
    std::deque<Launch> in_flight;
    const auto complete_oldest = [&] {
      complete(blocks, in_flight.front(), outputs);
      in_flight.pop_front();
    };
    for (const auto& [shape, group] : groups) {
      for (auto rest = std::span(group.indices); !rest.empty();) {
        const auto count = std::min(rest.size(), launch_);
        in_flight.push_back(launch(blocks, rest.first(count), group.start, shape, outputs));
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
  /// Of blocks that can be computed in one launch.
  struct Shape {
    std::int64_t length;  ///< Of the block.
    std::int64_t past;    ///< Positions of the memories before it.
    bool has_states;
    const ReadBlock* start = nullptr;  ///< What is known of it.
    std::int64_t known = 0;            ///< Tokens of it that are not computed again.
    std::int64_t scored = 0;           ///< The first token that is scored.
    bool may_come_again = false;
    auto operator<=>(const Shape&) const = default;
  };
  struct Group {
    std::vector<std::size_t> indices;
    std::shared_ptr<const ReadBlock> start;  ///< The shape's.
  };

  struct Launch {
    std::span<const std::size_t> group;
    std::shared_ptr<const ReadBlock> start;  ///< Null: nothing is known.
    Shape shape;
    at::Tensor hidden;               ///< [batch, length - scored, dim]
    std::vector<Recurrence> after;   ///< One per row.
    std::optional<BlockStart> read;  ///< The whole blocks, if they may come again, and their hidden states.
    at::Tensor read_hidden;          ///< [batch, length, dim]
    std::function<void()> scored;    ///< From Network::score().
  };

  static const BlockState* state_of(const BlockInput& block) {
    return static_cast<const BlockState*>(block.state.get());
  }

  std::map<Shape, Group> group_by_shape(std::span<const BlockInput> blocks) {
    std::map<Shape, Group> groups;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto& block = blocks[i];
      const auto length = static_cast<std::int64_t>(block.tokens.size());
      if (length < 1 || length > info_.block_width)
        throw std::invalid_argument("a block has 1 to block_width tokens");
      const auto* state = state_of(block);
      const auto before = state ? state->recurrence() : std::make_shared<const Recurrence>();
      const auto past = before->memories.empty() ? 0 : before->memories.front().size(2);
      Shape shape{length, past, !before->states.empty()};
      std::shared_ptr<const ReadBlock> start;
      if (network_->continues_blocks()) {
        shape.may_come_again = block.may_come_again;
        const auto found = block.may_come_again ? starts_.find(block) : BlockStarts::Found();
        start = found.block;
        shape.start = start.get();
        shape.known = static_cast<std::int64_t>(found.known);
        // The cache learns from what the network gives each token.
        const auto first = static_cast<std::int64_t>(block.first);
        shape.scored = has_cache() ? std::min(first, shape.known) : first;
      }
      auto& group = groups[shape];
      group.indices.push_back(i);
      group.start = std::move(start);
    }
    return groups;
  }

  /// On a CPU, each row has the bits that it gets alone: no kernel sums over rows, and how a row's sums are
  /// split does not depend on the number of rows. (Elsewhere, use model.batch 1.)
  Launch launch(std::span<const BlockInput> blocks, std::span<const std::size_t> group,
                std::shared_ptr<const ReadBlock> start, const Shape& shape,
                std::vector<BlockOutput>& outputs) const {
    std::vector<at::Tensor> sequences;
    std::vector<Recurrence> recurrences;
    for (const auto i : group) {
      sequences.push_back(sequence(blocks[i]));
      const auto* state = state_of(blocks[i]);
      recurrences.push_back(state ? state->recurrence()->to(network_->device()) : Recurrence());
    }
    const auto all = at::stack(sequences);  // [batch, length + 1]
    const auto batch = all.size(0);
    auto recurrence = join(recurrences);
    Launch launched{group, std::move(start), shape, {}, {}, {}, {}, {}};
    const auto tokens = all.narrow(1, shape.known, shape.length - shape.known);
    if (shape.may_come_again) {
      auto& read = launched.read.emplace();
      if (shape.known > 0) read = launched.start->start.first(shape.known);
      auto hidden = network_->continue_block(tokens, recurrence, read);
      if (shape.known > 0)
        hidden = at::cat(
            std::vector<at::Tensor>{launched.start->hidden.narrow(0, 0, shape.known).expand({batch, -1, -1}),
                                    hidden},
            1);
      launched.read_hidden = hidden;
      launched.hidden = hidden.narrow(1, shape.scored, shape.length - shape.scored);
    } else {
      launched.hidden =
          network_->forward_block(tokens, recurrence).narrow(1, shape.scored, shape.length - shape.scored);
    }
    launched.after = recurrence.rows(batch);
    launched.scored = network_->score(launched.hidden, scores_of(blocks, group, shape, outputs));
    return launched;
  }

  std::vector<Scored> scores_of(std::span<const BlockInput> blocks, std::span<const std::size_t> group,
                                const Shape& shape, std::vector<BlockOutput>& outputs) const {
    std::vector<Scored> scored;
    for (const auto i : group) {
      auto& output = outputs[i];
      scored.push_back({scored_tokens(blocks[i], shape), &output.logprobs, nullptr});
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
    return scored;
  }

  static std::span<const std::int32_t> scored_tokens(const BlockInput& block, const Shape& shape) {
    return block.tokens.subspan(static_cast<std::size_t>(shape.scored));
  }

  void complete(std::span<const BlockInput> blocks, Launch& launch, std::vector<BlockOutput>& outputs) {
    launch.scored();
    const auto scored = static_cast<std::size_t>(launch.shape.scored);
    for (std::size_t row = 0; row < launch.group.size(); ++row) {
      const auto& block = blocks[launch.group[row]];
      auto& output = outputs[launch.group[row]];
      if (launch.read) keep(block, launch, row, output.logprobs);
      auto cache = new_cache(state_of(block));
      for (std::size_t i = 0; cache && i < scored; ++i)
        cache->append(block.tokens[i], cache->predict(), launch.start->logprobs[i]);
      add_wanted(*network_, launch.hidden[static_cast<std::int64_t>(row)], scored_tokens(block, launch.shape),
                 block.wants, cache.get(), output);
      drop_first(output, block.first - scored, block.tokens.size() - scored);
      const auto next = std::make_shared<const BlockState>(std::move(launch.after[row]), block.tokens.back(),
                                                           std::move(cache), checkpoint_);
      if (on_device_) on_device_->add(next);
      output.next = next;
    }
  }

  /// `logprobs`: the network's, of the tokens that were scored.
  void keep(const BlockInput& block, const Launch& launch, std::size_t row,
            const std::vector<float>& logprobs) {
    ReadBlock read{block.state, {block.tokens.begin(), block.tokens.end()}, {}, {}, {}};
    const auto at = static_cast<std::int64_t>(row);
    read.start = launch.read->row(at);
    read.hidden = launch.read_hidden[at].clone();
    if (has_cache()) {
      if (launch.start) read.logprobs = launch.start->logprobs;
      read.logprobs.resize(static_cast<std::size_t>(launch.shape.scored));
      read.logprobs.insert(read.logprobs.end(), logprobs.begin(), logprobs.end());
    }
    starts_.put(std::move(read));
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
  BlockStarts starts_;
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
