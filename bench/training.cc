// Tokens per second of a training step by autograd and by the fast step, in fp32 and bf16, and the machine's
// own products in the same minute. On a busy machine use the figures per second of CPU time.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <CLI/CLI.hpp>

#include "model/config.h"
#include "training/fast/fast_step.h"
#include "training/initial_parameters.h"
#include "training/memory_replay.h"
#include "training/optimizer.h"
#include "training/validation.h"

namespace unroll {
namespace {

/// Wall time, or CPU time of all threads, which excludes other programs.
double now(bool of_processor) {
  timespec time{};
  ::clock_gettime(of_processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Operations per token (two per multiply-add), forward and backward, in the middle of a document; without
/// what the backward pass recomputes.
double operations_per_token(const ModelConfig& config) {
  const auto dim = static_cast<double>(config.dim), inner = static_cast<double>(config.inner_dim());
  const auto kv = static_cast<double>(config.kv_dim()), width = static_cast<double>(config.block_width);
  const auto states = static_cast<double>(config.num_state_vectors);
  double sum = dim * static_cast<double>(config.num_tokens);
  for (std::int64_t layer = 1; layer <= config.depth; ++layer) {
    const auto reads = static_cast<double>(config.states_read_at(layer).size());
    const auto seen =
        (config.use_memories ? static_cast<double>(config.memory_blocks) * width : 0) + (width + 1) / 2;
    sum += dim * (inner * (1 + reads) * 2 + 2 * kv) + 3 * dim * static_cast<double>(config.ff_inner_dim());
    sum += 2 * inner * (seen + reads * states);
    if (config.is_recurrent(layer)) {
      const auto gate = config.state_gate == StateGateKind::kLstm ? 3.0 : 1.0;
      const auto of_state = dim * (2 * kv + 2 * inner) + 2 * inner * dim + gate * dim * dim;
      sum += states / width * (of_state + 2 * inner * (states + width));
    }
  }
  return 6 * sum;
}

/// `threads` threads, each with a product that stays in its cache, as in the fast step; returns operations.
/// operations.
template <typename Number>
double multiply(int threads, bool bf16) {
  constexpr std::int64_t kRows = 256, kColumns = 64, kDepth = 256;
  constexpr int kTimes = 4000;
  const auto work = [&] {
    const std::vector<Number> a(kRows * kDepth, Number(1)), b(kDepth * kColumns, Number(1));
    std::vector<float> c(kRows * kColumns);
    for (int i = 0; i < kTimes; ++i)
      at::native::cpublas::brgemm(kRows, kColumns, kDepth, kDepth, kColumns, kColumns, false, a.data(),
                                  b.data(), c.data(), bf16);
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  return 2.0 * kRows * kColumns * kDepth * kTimes * threads;
}

/// The fastest of several measurements, in units per second.
struct Rate {
  double by_clock = 0, by_processor = 0;
  void add(const auto& work) {
    const auto clock = now(false), processor = now(true);
    const auto done = work();
    by_clock = std::max(by_clock, done / (now(false) - clock));
    by_processor = std::max(by_processor, done / (now(true) - processor));
  }
};

struct Options {
  std::filesystem::path config = "models/unroll-small/config.json";
  int lanes = 4, blocks = 2, rounds = 3, threads = 0;
  bool without_autograd = false;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        config_(load_model_config(options.config)),
        parameters_(initial_parameters(config_, 8)) {
    for (auto& [name, tensor] : parameters_)
      if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
    optimizer_.emplace(parameters_, 0.1);
    for (int i = 0; i < options.blocks; ++i) {
      const std::vector<std::int64_t> shape{options.lanes, config_.block_width};
      blocks_.inputs.push_back(at::randint(config_.num_tokens, shape, at::kLong));
      blocks_.targets.push_back(at::randint(config_.num_tokens, shape, at::kLong));
      blocks_.begins.push_back(at::zeros({options.lanes}, at::kBool));
      blocks_.tokens += options.lanes * config_.block_width;
    }
  }

  void run() {
    const auto threads = at::get_num_threads();
    std::cout << operations_per_token(config_) / 1e6 << " million operations per token, " << options_.lanes
              << " lanes, " << options_.blocks << " blocks per step, " << threads << " threads\n";
    for (const std::string dtype : {"fp32", "bf16"}) {
      if (!FastStep::computes(config_, parameters_, dtype)) {
        std::cout << dtype << ": this CPU or model has no fast step\n";
        continue;
      }
      fast_ = FastStep::make(config_, parameters_, options_.lanes, dtype, threads);
      Rate fast, old, products;
      for (int i = 0; i < options_.rounds + 1; ++i) {  // the first round warms up
        if (i == 1) fast = old = products = {};
        products.add([&] {
          return dtype == "bf16" ? multiply<at::BFloat16>(threads, true) : multiply<float>(threads, false);
        });
        fast.add([&] { return fast_step(); });
        if (!options_.without_autograd) old.add([&] { return autograd_step(dtype); });
      }
      const auto share = [&](double tokens, double multiplied) {
        return 100 * tokens * operations_per_token(config_) / multiplied;
      };
      std::cout << dtype << ": " << fast.by_clock << " tokens/s, autograd " << old.by_clock << "; products "
                << products.by_clock / 1e9 << " GFLOP/s, share " << share(fast.by_clock, products.by_clock)
                << " %; per second of CPU time " << fast.by_processor << " tokens, autograd "
                << old.by_processor << ", products " << products.by_processor / 1e9 << " GFLOP, share "
                << share(fast.by_processor, products.by_processor) << " %\n";
      fast_.reset();
    }
  }

 private:
  double fast_step() {
    fast_->clear_gradients();
    fast_->refresh();
    fast_->pass(blocks_, 1.0 / static_cast<double>(blocks_.tokens), false, recurrence_);
    for (const auto& [name, gradient] : fast_->gradients()) parameters_.at(name).mutable_grad() = gradient;
    optimizer_->step(1e-4, 1);
    return static_cast<double>(blocks_.tokens);
  }

  double autograd_step(const std::string& dtype) {
    const BlockRecurrentTransformer model(config_, cast_for_products(parameters_, dtype));
    const auto loss_of = [&](std::size_t index, const at::Tensor& hidden, const at::Tensor&) {
      const auto logits = model.to_logits(hidden.flatten(0, 1)).to(at::kFloat);
      return at::cross_entropy_loss(logits, blocks_.targets[index].flatten(), {}, at::Reduction::Mean, -100);
    };
    plain_backward(model, blocks_.inputs, recurrence_, {{}, loss_of, false});
    optimizer_->step(1e-4, 1);
    return static_cast<double>(blocks_.tokens);
  }

  const Options& options_;
  ModelConfig config_;
  TensorMap parameters_;
  std::optional<Optimizer> optimizer_;
  std::unique_ptr<FastStep> fast_;
  TrainingBlocks blocks_;
  Recurrence recurrence_;
};

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  unroll::Options options;
  CLI::App app("Speed of a training step");
  app.add_option("--config", options.config, "Shape of the model")->capture_default_str();
  app.add_option("--lanes", options.lanes)->capture_default_str();
  app.add_option("--blocks", options.blocks, "Blocks per step")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Measurements of each; the fastest counts")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: one per core")->capture_default_str();
  app.add_flag("--without-autograd", options.without_autograd);
  CLI11_PARSE(app, argc, argv);
  if (options.threads > 0) at::set_num_threads(options.threads);
  unroll::Bench(options).run();
  return 0;
}
