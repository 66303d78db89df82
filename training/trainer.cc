#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "model/cpu/fastest_arithmetic.h"
#include "model/load_transformer.h"
#include "training/fast/fast_step.h"
#include "training/initial_parameters.h"
#include "training/loss_curve.h"
#include "training/memory_replay.h"
#include "training/optimizer.h"
#include "training/run_folder.h"
#include "training/run_options.h"
#include "training/schedule.h"
#include "training/shared_recurrence.h"
#include "training/trainer_state.h"
#include "training/validation.h"
#include "training/worker_group.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

TrainerState begin(const TrainOptions& options) {
  TrainerState state;
  state.random.seed(options.seed);
  at::manual_seed(options.seed);
  state.parameters = options.from.empty() ? initial_parameters(options.config, options.qk_scale)
                                          : load_parameters(options.from, options.config);
  return state;
}

void move_to(at::Device device, TrainerState& state) {
  for (auto* tensors : {&state.parameters, &state.average, &state.moments})
    for (auto& [name, tensor] : *tensors) tensor = tensor.to(device);
  state.recurrence = state.recurrence.to(device);
}

/// The state in which the run in options.out stopped.
TrainerState resume(const TrainOptions& options, const fs::path& file) {
  auto state = load_state(file);
  for (const auto& [name, shape] : expected_parameters(options.config)) {
    const auto found = state.parameters.find(name);
    if (found == state.parameters.end() || found->second.sizes() != at::IntArrayRef(shape)) {
      throw std::runtime_error(options.out.string() + " holds a run of a model of another shape (" + name +
                               "); use its own --config, or give another folder with --out");
    }
  }
  return state;
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, at::Device device, const TrainCallbacks& callbacks,
          const RunFolder& folder, const std::vector<TokenDocument>& documents,
          std::unique_ptr<Validation> validation, TrainerState state, std::int32_t first_input,
          WorkerGroup* group)
      : options_(options),
        device_(device),
        callbacks_(callbacks),
        folder_(folder),
        lanes_(documents, options.repeats, options.lanes, options.config.block_width, options.piece_blocks,
               options.config.ignore_index, options.seed, first_input),
        validation_(std::move(validation)),
        state_(std::move(state)),
        group_(group),
        own_lanes_(options.lanes / (group ? group->size() : 1)),
        first_lane_(group ? group->rank() * own_lanes_ : 0) {
    if (leads()) curve_.emplace(folder.trainer(), state_.step);
    if (group_) state_.recurrence = lanes_of(state_.recurrence, first_lane_, own_lanes_);
    move_to(device_, state_);
    for (auto& [name, tensor] : state_.parameters) {
      if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
    }
    optimizer_.emplace(state_.parameters, options.weight_decay, optimizer_kind(options.optimizer),
                       options.dtype == "bf16");
    if (device_.is_cpu() && FastStep::computes(options.config, state_.parameters, options.dtype))
      fast_ =
          FastStep::make(options.config, state_.parameters, own_lanes_, options.dtype, at::get_num_threads());
    if (!state_.lanes.is_null()) {
      lanes_.restore(state_.lanes);
      optimizer_->restore(state_.moments, state_.step);
    }
    if (options.average_decay > 0)
      average_.emplace(state_.average.empty() ? state_.parameters : state_.average, options.average_decay);
  }

  TrainResult run() {
    if (validation_ && !state_.validation.first) {
      const auto loss = validate();
      state_.validation.first = loss;
      if (state_.step == 0 && curve_) curve_->add({0, 0, {}, 0, loss});
    }
    for (bool go_on = true; go_on && state_.step < options_.steps && !out_of_patience();) {
      auto report = step();
      const bool last = state_.step == options_.steps;
      if (validation_ && (last || state_.step % options_.validation_steps == 0))
        report.validation_loss = validate();
      if (curve_)
        curve_->add({report.step, report.tokens, report.loss, report.learning_rate, report.validation_loss});
      go_on = agreed(!leads() || callbacks_.step(report));
      if (!go_on || last || out_of_patience() || state_.step % options_.checkpoint_steps == 0) save();
    }
    if (group_) group_->barrier();  // the leader hosts the others' connections until they end
    return result();
  }

 private:
  bool leads() const { return !group_ || group_->leads(); }
  /// Broadcasts the leader's value.
  bool agreed(bool value) { return group_ ? group_->broadcast(value ? 1 : 0) > 0 : value; }

  bool out_of_patience() const {
    return options_.patience > 0 && state_.validation.worse >= options_.patience;
  }

  void drop_at_random() {
    std::uniform_real_distribution<double> chance(0, 1);
    if (chance(state_.random) < options_.memory_dropout) {
      state_.recurrence.memories.clear();
      state_.recurrence.memories_visible.reset();
      state_.recurrence.routed.clear();
    }
    if (chance(state_.random) < options_.state_dropout) state_.recurrence.states.clear();
  }

  struct Pass {
    double loss = 0;
    std::int64_t tokens = 0;
  };

  /// Takes blocks for this process's lanes; counts the tokens of all.
  TrainingBlocks take_blocks() {
    const std::vector<std::int64_t> shape{options_.lanes, options_.config.block_width};
    TrainingBlocks blocks;
    for (int i = 0; i < options_.blocks_per_step; ++i) {
      const auto block = lanes_.next();
      blocks.inputs.push_back(at::tensor(block.inputs).view(shape));
      blocks.targets.push_back(at::tensor(block.targets).view(shape));
      blocks.begins.push_back(at::empty({options_.lanes}, at::kBool));
      std::ranges::copy(block.begins, blocks.begins.back().mutable_data_ptr<bool>());
      blocks.tokens += (blocks.targets.back() != options_.config.ignore_index).sum().item<std::int64_t>();
      for (auto* tensors : {&blocks.inputs, &blocks.targets, &blocks.begins})
        tensors->back() = tensors->back().narrow(0, first_lane_, own_lanes_).contiguous().to(device_);
    }
    return blocks;
  }

  /// One back-propagation through a few blocks; adds to the gradients of the step.
  Pass back_propagate() {
    drop_at_random();
    const auto blocks = take_blocks();
    const auto nats =
        fast_ ? fast_->pass(blocks, 1.0 / static_cast<double>(blocks.tokens * options_.accumulate),
                            options_.memory_replay, state_.recurrence)
              : autograd(blocks);
    return {(group_ ? group_->sum(nats) : nats) / static_cast<double>(blocks.tokens), blocks.tokens};
  }

  /// Sums the gradients of all processes.
  void share_gradients() {
    std::vector<at::Tensor> gradients;
    for (auto& [name, tensor] : state_.parameters) {
      if (!BlockRecurrentTransformer::is_trainable(name)) continue;
      auto& gradient = tensor.mutable_grad();
      gradient = gradient.defined() ? gradient.contiguous() : at::zeros_like(tensor.detach());
      gradients.push_back(gradient);
    }
    group_->sum(gradients);
  }

  /// By autograd, for GPUs, and for options or CPUs that the fast step does not support.
  double autograd(const TrainingBlocks& blocks) {
    const BlockRecurrentTransformer model(options_.config,
                                          cast_for_products(state_.parameters, options_.dtype));
    const auto before_block = [&](std::size_t index, Recurrence& recurrence) {
      recurrence.forget(blocks.begins[index], model.initial_states(own_lanes_));
    };
    double nats = 0;
    const auto loss_of = [&](std::size_t index, const at::Tensor& hidden, const at::Tensor& compression) {
      const auto logits = model.to_logits(hidden.flatten(0, 1));
      const auto sum = at::cross_entropy_loss(logits.to(at::kFloat), blocks.targets[index].flatten(), {},
                                              at::Reduction::Sum, options_.config.ignore_index);
      nats += sum.item<double>();
      const auto loss = sum / (blocks.tokens * options_.accumulate);
      if (!compression.defined()) return loss;
      const auto processes = group_ ? group_->size() : 1;
      const auto share =
          options_.compression_loss / (options_.blocks_per_step * options_.accumulate * processes);
      return loss + compression * share;
    };
    const auto backward = options_.memory_replay ? replay_backward : plain_backward;
    backward(model, blocks.inputs, state_.recurrence, {before_block, loss_of, options_.compression_loss > 0});
    return nats;
  }

  TrainProgress step() {
    const auto start = std::chrono::steady_clock::now();
    TrainProgress report;
    std::int64_t tokens = 0;
    if (fast_) {
      fast_->clear_gradients();
      fast_->refresh();
    }
    for (int i = 0; i < options_.accumulate; ++i) {
      const auto pass = back_propagate();
      report.loss += pass.loss / options_.accumulate;
      tokens += pass.tokens;
    }
    report.learning_rate = learning_rate_after(options_, state_.step);
    if (!std::isfinite(report.loss))
      throw std::runtime_error("the loss is no longer finite; lower --learning-rate");
    if (fast_) {
      for (const auto& [name, gradient] : fast_->gradients())
        state_.parameters.at(name).mutable_grad() = gradient;
    }
    if (group_) share_gradients();
    optimizer_->step(report.learning_rate, options_.clip_norm);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    state_.tokens += tokens;
    ++state_.step;
    if (average_) average_->update(state_.parameters, state_.step);
    report.step = state_.step;
    report.steps = options_.steps;
    report.tokens = state_.tokens;
    report.tokens_per_second = static_cast<double>(tokens) / seconds.count();
    return report;
  }

  const TensorMap& weights() const { return average_ ? average_->weights() : state_.parameters; }

  /// Saves the model if its validation loss is a new best.
  double validate() {
    auto loss = leads() ? validation_->loss(weights()) : 0;
    if (group_) loss = group_->broadcast(loss);
    auto& record = state_.validation;
    if (!record.best || loss < *record.best) {
      record.best = loss;
      record.best_step = state_.step;
      record.worse = 0;
      save_model();
    } else {
      ++record.worse;
    }
    return loss;
  }

  void save_model() const {
    if (!leads()) return;
    save_checkpoint(options_.out, options_.config, weights(), options_.save_dtype);
    fs::copy_file(options_.vocabulary, options_.out / "tokenizer.model",
                  fs::copy_options::overwrite_existing);
  }

  /// Writes the state last: after a crash, earlier incomplete work is repeated.
  void save() {
    const auto own = state_.recurrence;
    if (group_) state_.recurrence = gather_lanes(*group_, own);
    if (leads()) write_state();
    state_.recurrence = own;
  }

  void write_state() {
    if (!validation_) save_model();
    curve_->draw(fs::absolute(options_.out).lexically_normal().filename().string(), options_.steps);
    state_.lanes = lanes_.position();
    state_.moments = optimizer_->moments();
    if (average_) state_.average = average_->weights();
    save_state(folder_.state_file(), state_);
  }

  TrainResult result() const {
    TrainResult result;
    result.step = state_.step;
    result.steps = options_.steps;
    if (!leads()) return result;  // only one process reports
    result.ended_early = out_of_patience();
    if (validation_) {
      result.first_bits_per_byte = validation_->bits_per_byte(*state_.validation.first);
      result.best_bits_per_byte = validation_->bits_per_byte(*state_.validation.best);
      result.best_step = state_.validation.best_step;
    }
    return result;
  }

  const TrainOptions& options_;
  const at::Device device_;
  const TrainCallbacks& callbacks_;
  const RunFolder& folder_;
  Lanes lanes_;
  std::unique_ptr<Validation> validation_;
  TrainerState state_;
  WorkerGroup* group_;              // null: this process is alone
  int own_lanes_, first_lane_;      // of this process
  std::optional<LossCurve> curve_;  // the leader's
  std::unique_ptr<FastStep> fast_;  // null: autograd
  std::optional<Optimizer> optimizer_;
  std::optional<WeightAverage> average_;
};

void check(const TrainOptions& options) {
  if (options.dtype != "auto" && options.dtype != "fp32" && options.dtype != "bf16")
    throw std::runtime_error("--dtype must be auto, fp32 or bf16 in training");
  optimizer_kind(options.optimizer);
  if (options.lanes < 1 || options.blocks_per_step < 1 || options.accumulate < 1 ||
      options.piece_blocks < 1 || options.checkpoint_steps < 1 || options.validation_steps < 1)
    throw std::runtime_error(
        "--lanes, --blocks-per-step, --accumulate, --piece-blocks, --checkpoint-steps and "
        "--validation-steps must be at least 1");
  if (options.average_decay < 0 || options.average_decay >= 1)
    throw std::runtime_error("--ema must be at least 0 and less than 1");
  if (options.hold_out < 0 || options.hold_out >= 1)
    throw std::runtime_error("--hold-out must be at least 0 and less than 1");
  if (options.patience > 0 && options.validation.empty() && options.hold_out == 0)
    throw std::runtime_error("--patience needs text to validate on: --validation or --hold-out");
  std::error_code none;
  if (!options.from.empty() && fs::equivalent(options.from, options.out, none))
    throw std::runtime_error("--from and --out are the same folder; give another one with --out");
}

at::Device device_of(const TrainOptions& options, bool shared) {
  if (!shared) return choose_device(options.device);
  if (options.device == "cuda")
    throw std::runtime_error("several processes train on CPUs only; use --device cpu, or unset MASTER_ADDR");
  return at::kCPU;
}

/// A resumed run continues with its original number type.
std::string choose_dtype(const nlohmann::json& record, at::Device device, WorkerGroup* group) {
  const auto recorded = recorded_dtype(record);
  if (!recorded.empty()) return recorded;
  if (!device.is_cpu()) return "bf16";
  const bool bf16 = fastest_arithmetic(arithmetic_speeds({}), false) == Arithmetic::kBf16;
  return (group ? group->broadcast(bf16 ? 1 : 0) > 0 : bf16) ? "bf16" : "fp32";
}

/// Refuses options that a run of several processes does not support.
void check_shared(const TrainOptions& options, int processes) {
  if (options.lanes % processes != 0)
    throw std::runtime_error("--lanes " + std::to_string(options.lanes) + " cannot be shared by " +
                             std::to_string(processes) + " processes; use a multiple of their number");
  if (options.config.routed_memory_layer > 0)
    throw std::runtime_error("a model with routed memory can train only in one process; unset MASTER_ADDR");
}

}  // namespace

TrainResult train(TrainOptions options, const TrainCallbacks& callbacks) {
  check(options);
  if (options.threads > 0) at::set_num_threads(options.threads);
  const auto group = WorkerGroup::from_environment();
  if (group) check_shared(options, group->size());
  // Before the first random number: LibTorch's generators keep out a CUDA library that is loaded after them.
  const auto device = device_of(options, group != nullptr);
  // The leader creates the folder and prepares the text before the others open it.
  const bool leads = !group || group->leads();
  if (!leads) group->barrier();
  const RunFolder folder(options.out, leads);
  const auto open = [&](const fs::path& source, const char* name) {
    return folder.open_tokens(source, options.vocabulary, name, callbacks);
  };
  const auto data = open(options.data, "data.tokens");
  std::optional<TokenFile> validation_file;
  if (!options.validation.empty()) validation_file = open(options.validation, "validation.tokens");
  if (group && leads) group->barrier();
  if (options.steps == 0) options.steps = fine_tuning_steps(options, data.tokens());

  auto state = folder.resumes() ? resume(options, folder.state_file()) : begin(options);
  if (options.dtype == "auto") options.dtype = choose_dtype(state.options, device, group.get());
  const auto record = record_of(options, data.hash(), validation_file ? validation_file->hash() : "");
  const auto changed = check_record(options, state.options, record);
  if (leads && !changed.empty() && callbacks.note) callbacks.note(changed);
  state.options = record;

  const auto vocabulary = Vocabulary::load(options.vocabulary);
  auto parts = hold_out(data.documents(), options.hold_out);
  if (validation_file) parts.validation = validation_file->documents();
  std::unique_ptr<Validation> validation;
  if (validation_file || options.hold_out > 0) {
    validation = std::make_unique<Validation>(parts.validation, *vocabulary, options.config, options.dtype);
  }
  return Trainer(options, device, callbacks, folder, parts.training, std::move(validation), std::move(state),
                 vocabulary->first_input(), group.get())
      .run();
}

}  // namespace unroll
