#include "training/fast/fast_step.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/cpu/packed_transformer.h"
#include "training/fast/gradients.h"
#include "training/fast/step_head.h"
#include "training/fast/step_layer.h"

namespace unroll {
namespace {

/// The state before a block, and the block's keys and values.
struct Link {
  std::vector<at::Tensor> memories, d_memories;  // per layer: [2, lanes, positions, kv_dim], or undefined
  std::vector<std::int64_t> first_visible;       // per lane: its first valid memory
  std::vector<Buffer> states, d_states;          // per cell: tiles of all lanes
  std::vector<bool> initial;                     // per lane: its states are the initial ones
  std::vector<at::Tensor> kv, d_kv;              // per layer: [2, lanes, block_width, kv_dim]

  std::int64_t positions() const { return memories.empty() ? 0 : memories.front().size(2); }
};

KeySegment segment_of(const at::Tensor& kv, const at::Tensor& d_kv) {
  const auto half = kv.numel() / 2;
  const auto* values = kv.const_data_ptr<float>();
  KeySegment segment{values, values + half, nullptr, nullptr, kv.size(2)};
  if (d_kv.defined()) {
    segment.dk = d_kv.mutable_data_ptr<float>();
    segment.dv = segment.dk + half;
  }
  return segment;
}

/// After a block: shifts memories as in memory.h, without compression.
at::Tensor join_memory(const at::Tensor& past, const at::Tensor& block, std::int64_t most) {
  const auto all = at::cat({past, block}, 2);
  const auto length = std::min(most, all.size(2));
  return all.narrow(2, all.size(2) - length, length).contiguous();
}

template <typename Number>
class Step final : public FastStep {
 public:
  Step(const ModelConfig& config, const TensorMap& parameters, int lanes, int threads)
      : config_(config),
        definition_(config, parameters),
        gradients_(parameters),
        machine_(threads),
        attention_(machine_),
        shape_{lanes, config.block_width},
        embedding_(gradients_.vector(parameters.at("token_emb.weight"))),
        head_(definition_.logits_norm(), parameters.at("to_logits.1.weight"), gradients_, machine_) {
    std::vector<at::Tensor> queries;
    for (const auto& layer : definition_.layers()) {
      layers_.push_back(
          std::make_unique<StepLayer<Number>>(config_, layer, definition_.rotary(), gradients_, machine_));
      cell_at_.push_back(-1);
      if (!layer.state_container) continue;
      cell_at_.back() = std::ssize(owned_cells_);
      owned_cells_.push_back(
          std::make_unique<StepCell<Number>>(config_, *layer.state_container, gradients_, machine_));
      cells_.push_back(owned_cells_.back().get());
      queries.push_back(layer.state_container->q_to_state);
    }
    for (auto& layer : layers_)
      for (const auto state : layer->reads()) layer->add_read(queries[state], gradients_);
  }

  void refresh() override {
    for (auto& layer : layers_) layer->refresh();
    for (auto* cell : cells_) cell->refresh();
    head_.refresh();
  }

  double pass(const TrainingBlocks& blocks, double weight, bool replay, Recurrence& recurrence) override {
    const at::NoGradGuard no_grad;
    const auto count = blocks.inputs.size();
    if (links_.size() < count + 1) links_.resize(count + 1);
    if (const auto kept = replay ? 1 : count; kept_.size() < kept) kept_.resize(kept);
    take(recurrence);
    double nats = 0;
    const auto head = [&](std::size_t index, Kept& kept) {
      auto* d = kept.d.template resize<float>(tiles_size());
      nats += head_.run(kept.last.template data<float>(),
                        blocks.targets[index].template const_data_ptr<std::int64_t>(), config_.ignore_index,
                        weight, shape_, d);
    };
    for (std::size_t i = 0; i < count; ++i) {
      open(i, blocks.begins[i]);
      auto& kept = kept_[replay ? 0 : i];
      forward(i, blocks.inputs[i], kept);
      link_next(links_[i], links_[i + 1]);
      if (!replay) head(i, kept);
    }
    give(links_[count], recurrence);
    for (std::size_t i = count; i-- > 0;) {
      auto& kept = kept_[replay ? 0 : i];
      if (replay) {
        if (i + 1 < count) forward(i, blocks.inputs[i], kept);  // that of the last block is still kept
        head(i, kept);
      }
      backward(i, i + 1 < count, blocks.inputs[i], kept);
    }
    return nats;
  }

  const TensorMap& gradients() const override { return gradients_.tensors(); }
  void clear_gradients() override { gradients_.clear(); }

 private:
  /// What the backward pass needs of a block.
  struct Kept {
    std::vector<typename StepLayer<Number>::Kept> layers;
    std::vector<typename StepCell<Number>::Kept> cells;
    std::vector<typename StepCell<Number>::Kept*> cells_at;
    Buffer last, d;
  };

  std::int64_t tile_size() const { return config_.dim * kTileRows; }
  std::int64_t tiles_size() const { return shape_.tiles() * tile_size(); }
  std::size_t memory_read_at(std::size_t layer) const {
    return config_.enhanced_recurrence ? std::min(layer + 1, layers_.size() - 1) : layer;
  }

  void resize_states(Link& link) {
    link.states.resize(cells_.size());
    link.d_states.resize(cells_.size());
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      link.states[i].resize<float>(shape_.lanes * cells_[i]->size());
      link.d_states[i].resize<float>(shape_.lanes * cells_[i]->size());
    }
  }

  /// Copies the recurrence to the first link.
  void take(const Recurrence& recurrence) {
    auto& link = links_[0];
    const auto lanes = static_cast<std::size_t>(shape_.lanes);
    link.memories.clear();
    link.d_memories.clear();
    for (const auto& memory : recurrence.memories) link.memories.push_back(memory.detach().contiguous());
    link.first_visible.assign(lanes, 0);
    if (recurrence.memories_visible.defined()) {
      // A document's valid memories are the last ones of its lane.
      const auto hidden = recurrence.memories_visible.logical_not().sum(1).contiguous();
      std::copy_n(hidden.const_data_ptr<std::int64_t>(), lanes, link.first_visible.begin());
    }
    link.initial.assign(lanes, recurrence.states.empty());
    resize_states(link);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      const auto states =
          recurrence.states.empty() ? at::Tensor() : recurrence.states[i].detach().contiguous();
      for (std::int64_t lane = 0; lane < shape_.lanes; ++lane) {
        auto* tiles = link.states[i].data<float>() + lane * cells_[i]->size();
        if (states.defined()) {
          cells_[i]->set(states.const_data_ptr<float>() + lane * states[0].numel(), tiles);
        } else {
          cells_[i]->set_initial(tiles);
        }
      }
    }
  }

  void give(const Link& link, Recurrence& recurrence) const {
    Recurrence next;
    for (const auto& memory : link.memories) next.memories.push_back(memory.clone());
    if (!std::ranges::all_of(link.first_visible, [](auto first) { return first == 0; })) {
      const auto position = at::arange(link.positions()).unsqueeze(0);
      next.memories_visible = position >= at::tensor(link.first_visible).unsqueeze(1);
    }
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      auto& states = next.states.emplace_back(
          at::empty({shape_.lanes, config_.num_state_vectors, config_.dim}, at::kFloat));
      for (std::int64_t lane = 0; lane < shape_.lanes; ++lane)
        cells_[i]->get(link.states[i].data<float>() + lane * cells_[i]->size(),
                       states.mutable_data_ptr<float>() + lane * states[0].numel());
    }
    recurrence = std::move(next);
  }

  /// Prepares block `index`: resets lanes in which a document begins.
  void open(std::size_t index, const at::Tensor& begins) {
    auto& link = links_[index];
    const auto* begin = begins.const_data_ptr<bool>();
    for (std::int64_t lane = 0; lane < shape_.lanes; ++lane) {
      if (!begin[lane]) continue;
      const auto at = static_cast<std::size_t>(lane);
      link.first_visible[at] = link.positions();
      link.initial[at] = true;
      for (std::size_t i = 0; i < cells_.size(); ++i)
        cells_[i]->set_initial(link.states[i].data<float>() + lane * cells_[i]->size());
    }
    if (link.kv.empty()) {
      for (std::size_t i = 0; i < layers_.size(); ++i)
        link.kv.push_back(at::empty({2, shape_.lanes, shape_.width, config_.kv_dim()}, at::kFloat));
      for (const auto& kv : link.kv) link.d_kv.push_back(at::empty_like(kv));
    }
    for (auto& d_kv : link.d_kv) d_kv.zero_();
  }

  LayerPast past(std::size_t index, std::size_t layer) const {
    const auto& link = links_[index];
    LayerPast past;
    const auto memory = memory_read_at(layer);
    if (!link.memories.empty())
      past.memory =
          segment_of(link.memories[memory], link.d_memories.empty() ? at::Tensor() : link.d_memories[memory]);
    past.first_visible = link.first_visible;
    const auto& kv = link.kv[layer];
    past.block.segment = segment_of(kv, link.d_kv[layer]);
    past.block.k_out = kv.mutable_data_ptr<float>();
    past.block.v_out = past.block.k_out + kv.numel() / 2;
    return past;
  }

  void embed(const at::Tensor& tokens, float* x) {
    const auto* ids = tokens.const_data_ptr<std::int64_t>();
    machine_.parallel(shape_.tiles(), [&](std::int64_t tile, Room& room) {
      auto* rows = room.take<float>(0, tile_size());
      const auto* at = ids + shape_.lane(tile) * shape_.width + shape_.first(tile);
      for (std::int64_t i = 0; i < shape_.count(tile); ++i)
        std::copy_n(embedding_.values + at[i] * config_.dim, config_.dim, rows + i * config_.dim);
      machine_.kernels.tile(rows, config_.dim, shape_.count(tile), config_.dim, x + tile * tile_size());
    });
  }

  void forward(std::size_t index, const at::Tensor& tokens, Kept& kept) {
    auto &link = links_[index], &next = links_[index + 1];
    kept.layers.resize(layers_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) kept.layers[i].resize(*layers_[i], shape_);
    kept.cells.resize(cells_.size());
    kept.cells_at.clear();
    for (auto& cell : kept.cells) kept.cells_at.push_back(&cell);
    kept.last.template resize<float>(tiles_size());
    embed(tokens, kept.layers.front().x.template data<float>());
    for (std::size_t i = 0; i < cells_.size(); ++i)
      cells_[i]->prepare(link.states[i].data<float>(), kept.cells[i], shape_.lanes);
    resize_states(next);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const auto here = past(index, i);
      auto& out = i + 1 < layers_.size() ? kept.layers[i + 1].x : kept.last;
      layers_[i]->enter(kept.layers[i], here, shape_);
      layers_[i]->leave(kept.layers[i], here, shape_, cells_, kept.cells_at, attention_,
                        out.template data<float>());
      if (cell_at_[i] < 0) continue;
      const auto cell = static_cast<std::size_t>(cell_at_[i]);
      cells_[cell]->write(link.states[cell].data<float>(), kept.cells[cell], shape_.lanes, here.block.segment,
                          attention_, next.states[cell].data<float>());
    }
  }

  /// The memories of the next block.
  void link_next(const Link& link, Link& next) const {
    next.memories.clear();
    next.d_memories.clear();
    next.initial.assign(static_cast<std::size_t>(shape_.lanes), false);
    next.first_visible = link.first_visible;
    if (!config_.use_memories) return;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (link.memories.empty() || config_.memory_blocks == 1) {
        next.memories.push_back(link.kv[i]);
        next.d_memories.push_back(link.d_kv[i]);
      } else {
        next.memories.push_back(
            join_memory(link.memories[i], link.kv[i], config_.memory_blocks * shape_.width));
        next.d_memories.push_back(at::zeros_like(next.memories.back()));
      }
    }
    const auto dropped = link.positions() + shape_.width - next.positions();
    for (auto& first : next.first_visible) first = std::max<std::int64_t>(0, first - dropped);
  }

  /// Adds later blocks' gradients of the memories in `next` that come from this block and earlier ones.
  void share_memory_gradients(Link& link, const Link& next) const {
    for (std::size_t i = 0; i < next.d_memories.size(); ++i) {
      const auto& d = next.d_memories[i];
      if (d.is_same(link.d_kv[i])) continue;
      const auto older = d.size(2) - shape_.width;
      link.d_kv[i].add_(d.narrow(2, older, shape_.width));
      if (link.d_memories.empty()) continue;
      const auto& before = link.d_memories[i];
      before.narrow(2, before.size(2) - older, older).add_(d.narrow(2, 0, older));
    }
  }

  void backward(std::size_t index, bool has_next, const at::Tensor& tokens, Kept& kept) {
    auto &link = links_[index], &next = links_[index + 1];
    if (has_next) share_memory_gradients(link, next);
    auto* d = kept.d.template data<float>();
    for (std::size_t i = layers_.size(); i-- > 0;) {
      const auto here = past(index, i);
      auto& layer = kept.layers[i];
      layers_[i]->leave_back(layer, here, shape_, cells_, kept.cells_at, attention_, room_, d);
      if (cell_at_[i] >= 0) {
        const auto at = static_cast<std::size_t>(cell_at_[i]);
        auto* d_states = link.d_states[at].data<float>();
        if (has_next) {
          cells_[at]->write_back(link.states[at].data<float>(), kept.cells[at], shape_.lanes,
                                 here.block.segment, attention_, next.d_states[at].data<float>(), d_states);
        } else {
          std::fill_n(d_states, shape_.lanes * cells_[at]->size(), 0.0F);
        }
      }
      layers_[i]->enter_back(layer, here, shape_, room_, d);
    }
    for (std::size_t i = 0; i < cells_.size(); ++i) states_back(link, i, has_next, kept);
    embed_back(tokens, d);
  }

  /// Gradients of initial states end there.
  void states_back(Link& link, std::size_t cell, bool written, Kept& kept) {
    auto* d = link.d_states[cell].data<float>();
    cells_[cell]->prepare_back(link.states[cell].data<float>(), kept.cells[cell], shape_.lanes, written, d);
    const auto size = cells_[cell]->size();
    for (std::int64_t lane = 0; lane < shape_.lanes; ++lane) {
      if (!link.initial[static_cast<std::size_t>(lane)]) continue;
      cells_[cell]->add_initial_gradient(d + lane * size);
      std::fill_n(d + lane * size, size, 0.0F);
    }
  }

  void embed_back(const at::Tensor& tokens, const float* d) {
    const auto* ids = tokens.const_data_ptr<std::int64_t>();
    const auto dim = config_.dim;
    auto* rows = rows_.resize<float>(tiles_size());
    machine_.parallel(shape_.tiles(), [&](std::int64_t tile, Room&) {
      tile_kernels<float>().rows(d + tile * tile_size(), dim, kTileRows, dim, rows + tile * tile_size());
    });
    // The rows of each token are added in order; each thread adds to features of its own.
    constexpr std::int64_t kFeatures = 64;
    machine_.parallel(round_up(dim, kFeatures) / kFeatures, [&](std::int64_t part, Room&) {
      const auto first = part * kFeatures, count = std::min(kFeatures, dim - first);
      for (std::int64_t tile = 0; tile < shape_.tiles(); ++tile) {
        const auto* at = ids + shape_.lane(tile) * shape_.width + shape_.first(tile);
        for (std::int64_t i = 0; i < shape_.count(tile); ++i)
          machine_.loops.add(embedding_.gradient + at[i] * dim + first,
                             rows + tile * tile_size() + i * dim + first, count);
      }
    });
  }

  ModelConfig config_;
  BlockRecurrentTransformer definition_;
  Gradients gradients_;
  StepMachine<Number> machine_;
  StepAttention<Number> attention_;
  BlockShape shape_;
  Vector embedding_;
  StepHead<Number> head_;
  std::vector<std::unique_ptr<StepLayer<Number>>> layers_;
  std::vector<std::unique_ptr<StepCell<Number>>> owned_cells_;
  std::vector<StepCell<Number>*> cells_;
  std::vector<std::ptrdiff_t> cell_at_;  // per layer: its cell, or -1
  std::vector<Link> links_;
  std::vector<Kept> kept_;
  LayerRoom<Number> room_;
  Buffer rows_;
};

}  // namespace

bool FastStep::computes(const ModelConfig& config, const TensorMap& parameters, const std::string& dtype) {
  if (!cpu_supports(dtype == "bf16" ? Arithmetic::kBf16 : Arithmetic::kFp32)) return false;
  if (config.state_gate == StateGateKind::kMemformer || config.state_cell != StateCell::kSkip ||
      config.dynamic_position_bias || config.use_compressed_mem || config.routed_memory_layer > 0 ||
      config.gate_residuals || config.dim_head % 2 != 0)
    return false;
  // Norms have no biases, but a checkpoint of another program may have them.
  return std::ranges::all_of(parameters, [](const auto& parameter) {
    return BlockRecurrentTransformer::is_trainable(parameter.first) ||
           parameter.second.count_nonzero().template item<std::int64_t>() == 0;
  });
}

std::unique_ptr<FastStep> FastStep::make(const ModelConfig& config, const TensorMap& parameters, int lanes,
                                         const std::string& dtype, int threads) {
  if (dtype == "bf16") return std::make_unique<Step<std::uint16_t>>(config, parameters, lanes, threads);
  return std::make_unique<Step<float>>(config, parameters, lanes, threads);
}

}  // namespace unroll
