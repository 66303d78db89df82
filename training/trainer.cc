#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numbers>
#include <random>
#include <sstream>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/autograd.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "training/optimizer.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr double kEmbeddingDeviation = 0.05;

/// The reference's initialisation, but for what small models learn faster from: small embeddings, residual
/// branches that begin at zero, and normalised attention that can be sharp: with qk_scale 8 it is
/// q_scale * k_scale / sqrt(dim_head) = 8 with 64-wide heads, which is the scale that the reference means and
/// does not use.
TensorMap initial_parameters(const TrainOptions& options) {
  auto parameters = random_parameters(options.config);
  for (auto& [name, tensor] : parameters) {
    if (name == "token_emb.weight") tensor.normal_(0, kEmbeddingDeviation);
    if (name.ends_with(".to_out.weight") || name.ends_with(".1.3.weight")) tensor.zero_();
    if (name.ends_with(".q_scale") || name.ends_with(".k_scale")) tensor.fill_(options.qk_scale);
  }
  return parameters;
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, std::vector<TokenDocument> documents)
      : options_(options),
        documents_(std::move(documents)),
        lanes_(documents_, options.repeats, options.lanes, options.config.block_width, options.piece_blocks,
               options.config.ignore_index, options.seed),
        random_(options.seed) {
    at::manual_seed(options.seed);
    const bool resumes = fs::exists(checkpoint_file());
    auto saved = resumes ? read_safetensors(checkpoint_file()) : TensorMap();
    parameters_ = resumes ? take(saved, "parameters.") : initial_parameters(options);
    for (auto& [name, tensor] : parameters_) {
      tensor = tensor.clone();
      if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
    }
    optimizer_.emplace(parameters_, options.weight_decay);
    if (resumes) restore(saved);
  }

  void run(const std::function<bool(const TrainProgress&)>& progress) {
    keep_curve();
    std::ofstream curve(curve_file(), std::ios::app);
    for (bool go_on = true; go_on && step_ < options_.steps;) {
      const auto report = step();
      curve << report.step << ',' << report.tokens << ',' << report.loss << ',' << report.learning_rate << ','
            << report.tokens_per_second << '\n';
      go_on = progress(report);
      if (!go_on || step_ == options_.steps || step_ % options_.checkpoint_steps == 0) {
        curve.flush();
        save();
      }
    }
  }

 private:
  fs::path checkpoint_file() const { return options_.out / "trainer" / "checkpoint.safetensors"; }
  fs::path curve_file() const { return options_.out / "trainer" / "loss.csv"; }

  /// The loss curve up to this step: what a killed run did after its last checkpoint is done again.
  void keep_curve() const {
    std::ostringstream kept;
    kept << "step,tokens,loss,learning_rate,tokens_per_second\n";
    std::ifstream before(curve_file());
    std::string line;
    std::getline(before, line);
    for (std::int64_t step = 0; step < step_ && std::getline(before, line); ++step) kept << line << '\n';
    std::ofstream(curve_file(), std::ios::trunc) << kept.str();
  }

  /// Those whose names begin so, without that beginning.
  static TensorMap take(const TensorMap& tensors, std::string_view prefix) {
    TensorMap taken;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with(prefix)) taken[name.substr(prefix.size())] = tensor;
    }
    return taken;
  }

  double learning_rate() const {
    if (step_ < options_.warmup_steps) {
      return options_.learning_rate * static_cast<double>(step_ + 1) /
             static_cast<double>(options_.warmup_steps);
    }
    const auto done = static_cast<double>(step_ - options_.warmup_steps) /
                      static_cast<double>(std::max<std::int64_t>(1, options_.steps - options_.warmup_steps));
    const auto cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
    return options_.final_learning_rate + (options_.learning_rate - options_.final_learning_rate) * cosine;
  }

  /// The parameters as this step computes with them; gradients flow back through the casts.
  TensorMap step_parameters() const {
    auto cast = parameters_;
    if (options_.dtype == "fp32") return cast;
    for (auto& [name, tensor] : cast) {
      if (name.ends_with(".weight") && tensor.dim() == 2 && name != "token_emb.weight")
        tensor = tensor.to(at::kBFloat16);
    }
    return cast;
  }

  void drop_at_random() {
    std::uniform_real_distribution<double> chance(0, 1);
    if (chance(random_) < options_.memory_dropout) recurrence_.memories.clear();
    if (chance(random_) < options_.state_dropout) recurrence_.states.clear();
  }

  /// Forgets memories and states of the rows that begin a document with this block.
  void reset_rows(const BlockRecurrentTransformer& model, const std::vector<bool>& begins) {
    auto begin = at::empty({static_cast<std::int64_t>(begins.size())}, at::kBool);
    for (std::size_t i = 0; i < begins.size(); ++i) begin.mutable_data_ptr<bool>()[i] = begins[i];
    recurrence_.memories_visible = recurrence_.memories.empty() ? at::Tensor() : begin.logical_not();
    const auto initial = model.initial_states(options_.lanes);
    for (std::size_t i = 0; i < recurrence_.states.size(); ++i) {
      recurrence_.states[i] = at::where(begin.view({-1, 1, 1}), initial[i], recurrence_.states[i]);
    }
  }

  TrainProgress step() {
    const auto start = std::chrono::steady_clock::now();
    const BlockRecurrentTransformer model(options_.config, step_parameters());
    drop_at_random();
    const std::int64_t width = options_.config.block_width;
    const std::vector<std::int64_t> shape{options_.lanes, width};
    std::vector<at::Tensor> hidden, targets;
    for (int i = 0; i < options_.blocks_per_step; ++i) {
      auto block = lanes_.next();
      reset_rows(model, block.begins);
      hidden.push_back(model.forward_block(at::tensor(block.inputs).view(shape), recurrence_));
      targets.push_back(at::tensor(block.targets).view(shape));
    }
    const auto target = at::cat(targets, 1).flatten();
    const auto logits = model.to_logits(at::cat(hidden, 1).flatten(0, 1));
    const auto loss = at::cross_entropy_loss(logits.to(at::kFloat), target, {}, at::Reduction::Mean,
                                             options_.config.ignore_index);
    torch::autograd::backward({loss}, {});
    recurrence_ = recurrence_.detached();

    TrainProgress report;
    report.learning_rate = learning_rate();
    report.loss = loss.item<double>();
    if (!std::isfinite(report.loss))
      throw std::runtime_error("the loss is not finite any more; lower --learning-rate");
    optimizer_->step(report.learning_rate, options_.clip_norm);
    const auto tokens = (target != options_.config.ignore_index).sum().item<std::int64_t>();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    tokens_ += tokens;
    ++step_;
    report.step = step_;
    report.steps = options_.steps;
    report.tokens = tokens_;
    report.tokens_per_second = static_cast<double>(tokens) / seconds.count();
    return report;
  }

  /// All that resuming needs is one file, replaced at once: a crash leaves the one before or the new one.
  void save() const {
    TensorMap detached, all = optimizer_->moments();
    for (const auto& [name, tensor] : parameters_) {
      detached[name] = tensor.detach();
      all["parameters." + name] = tensor.detach();
    }
    for (std::size_t i = 0; i < recurrence_.memories.size(); ++i) {
      all["memories." + std::to_string(i)] = recurrence_.memories[i].contiguous();
    }
    for (std::size_t i = 0; i < recurrence_.states.size(); ++i) {
      all["states." + std::to_string(i)] = recurrence_.states[i].contiguous();
    }
    std::ostringstream random;
    random << random_;
    const nlohmann::json position{
        {"step", step_}, {"tokens", tokens_}, {"lanes", lanes_.position()}, {"random", random.str()}};
    const auto text = position.dump();
    all["position"] = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
    std::ranges::copy(text, all["position"].mutable_data_ptr<std::uint8_t>());
    write_safetensors(checkpoint_file(), all);
    save_checkpoint(options_.out, options_.config, detached, options_.save_dtype);
    fs::copy_file(options_.vocabulary, options_.out / "tokenizer.model",
                  fs::copy_options::overwrite_existing);
  }

  void restore(TensorMap& saved) {
    const auto text = saved.at("position").contiguous();
    const auto* begin = text.const_data_ptr<std::uint8_t>();
    const auto position = nlohmann::json::parse(begin, begin + text.numel());
    step_ = position.at("step");
    tokens_ = position.at("tokens");
    lanes_.restore(position.at("lanes"));
    std::istringstream(position.at("random").get<std::string>()) >> random_;
    optimizer_->restore(saved, step_);
    for (std::int64_t i = 0; saved.contains("memories." + std::to_string(i)); ++i) {
      recurrence_.memories.push_back(saved["memories." + std::to_string(i)].clone());
    }
    for (std::int64_t i = 0; saved.contains("states." + std::to_string(i)); ++i) {
      recurrence_.states.push_back(saved["states." + std::to_string(i)].clone());
    }
  }

  const TrainOptions& options_;
  std::vector<TokenDocument> documents_;
  Lanes lanes_;
  std::mt19937_64 random_;
  TensorMap parameters_;
  std::optional<AdamW> optimizer_;
  Recurrence recurrence_;
  std::int64_t step_ = 0, tokens_ = 0;
};

}  // namespace

void train(const TrainOptions& options, const std::function<bool(const TrainProgress&)>& progress) {
  if (options.dtype != "fp32" && options.dtype != "bf16")
    throw std::runtime_error("--dtype takes fp32 or bf16 in training");
  if (options.threads > 0) at::set_num_threads(options.threads);
  fs::create_directories(options.out / "trainer");
  auto documents = load_documents(options.data, options.vocabulary, options.out / "trainer" / "tokens.cache");
  Trainer(options, std::move(documents)).run(progress);
}

}  // namespace unroll
