#include "training/recall/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "training/initial_parameters.h"
#include "training/memory_replay.h"
#include "training/optimizer.h"
#include "training/recall/task.h"

namespace unroll::recall {
namespace {

constexpr double kWeightDecay = 0.01;
constexpr double kClipNorm = 1;
constexpr double kForgetfulness = 0.95;  // decay of the running accuracy
constexpr double kShortShare = 0.25;     // share of the steps with shorter distances

struct Batch {
  std::vector<at::Tensor> blocks;  ///< int64 [documents, length]
  at::Tensor answers;              ///< int64 [documents]
};

class Trainer {
 public:
  explicit Trainer(const TrainOptions& options)
      : options_(options),
        parameters_(options.from.empty() ? initial_parameters(options.config, options.qk_scale)
                                         : load_parameters(options.from, options.config)),
        source_(Split::kTraining, options.seed),
        random_(options.seed),
        distance_(options.first_distance) {
    for (auto& [name, tensor] : parameters_) {
      if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
    }
    optimizer_.emplace(parameters_, kWeightDecay);
  }

  bool run(const std::function<bool(const TrainProgress&)>& progress) {
    std::int64_t at_last = 0;
    bool go_on = true;
    for (std::int64_t i = 0; i < options_.steps && go_on; ++i) {
      step();
      go_on = progress(progress_);
      if (distance_ == options_.last_distance && ++at_last > options_.steps_at_last && learned()) break;
      if (!learned() || distance_ == options_.last_distance) continue;
      save_checkpoint(options_.out, options_.config, parameters_, "fp32");
      distance_ =
          std::min(options_.last_distance,
                   static_cast<std::int64_t>(std::ceil(static_cast<double>(distance_) * options_.growth)));
      progress_.accuracy = 0;
    }
    save_checkpoint(options_.out, options_.config, parameters_, "bf16");
    return distance_ == options_.last_distance && learned();
  }

 private:
  bool learned() const { return progress_.accuracy >= options_.learned; }

  std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

  /// Documents of one length, whose keys are at different offsets in a block; the part after a key is its
  /// distance.
  Batch make_batch(std::int64_t length) {
    std::vector<at::Tensor> rows;
    std::vector<std::int64_t> answers;
    for (int i = 0; i < options_.documents; ++i) {
      const auto before = between(0, std::min(options_.config.block_width - 1, length - shortest()));
      const auto document = source_.make(before, length - before, options_.pairs);
      rows.push_back(at::tensor(document.tokens));
      answers.push_back(document.answer);
    }
    return {at::stack(rows).split(options_.config.block_width, 1), at::tensor(answers)};
  }
  /// The smallest possible distance.
  std::int64_t shortest() const { return kKeyLetters + 2 + (options_.pairs - 1) * (kKeyLetters + 3); }

  void step() {
    const bool shorter = std::bernoulli_distribution(kShortShare)(random_);
    const auto least = std::min(options_.first_distance, distance_);
    const auto distance =
        shorter ? between(least, distance_) : between(std::max(least, distance_ * 3 / 4), distance_);
    const auto batch = make_batch(distance + options_.config.block_width / 2);
    const BlockRecurrentTransformer model(options_.config, parameters_);
    double right = 0;
    const auto answer = [&](std::size_t index, const at::Tensor& hidden, const at::Tensor&) {
      if (index + 1 < batch.blocks.size()) return at::Tensor();
      const auto logits = model.to_logits(hidden.select(1, -1));
      right = (logits.argmax(-1) == batch.answers).to(at::kDouble).mean().item<double>();
      return at::cross_entropy_loss(logits, batch.answers);
    };
    Recurrence recurrence;
    progress_.loss = replay_backward(model, batch.blocks, recurrence, {{}, answer, false});
    const auto warm = static_cast<double>(progress_.step + 1) / static_cast<double>(options_.warmup_steps);
    optimizer_->step(options_.learning_rate * std::min(1.0, warm), kClipNorm);
    if (!shorter) progress_.accuracy = kForgetfulness * progress_.accuracy + (1 - kForgetfulness) * right;
    ++progress_.step;
    progress_.distance = distance_;
    for (const auto& block : batch.blocks) progress_.tokens += block.numel();
  }

  const TrainOptions& options_;
  TensorMap parameters_;
  std::optional<Optimizer> optimizer_;
  Source source_;
  std::mt19937_64 random_;
  std::int64_t distance_;
  TrainProgress progress_;
};

}  // namespace

bool train(TrainOptions options, const std::function<bool(const TrainProgress&)>& progress) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  options.config.num_tokens = kVocabulary;
  at::manual_seed(options.seed);
  return Trainer(options).run(progress);
}

}  // namespace unroll::recall
