#include "training/run_options.h"

#include <stdexcept>

namespace unroll {
namespace {

/// "fixed" options define the run; those under "may change" only control it.
constexpr const char* kFixed = "fixed";
constexpr const char* kMayChange = "may change";

/// Lists the differences: "--lanes (was 4, is 8), --data".
std::string differences(const nlohmann::json& before, const nlohmann::json& now) {
  std::string text;
  for (const auto& [name, value] : now.items()) {
    const auto old = before.value(name, nlohmann::json());
    if (old.is_null() || old == value) continue;
    text += (text.empty() ? "" : ", ") + name;
    // Hashes and whole shapes are not informative.
    if (value.is_number()) text += " (was " + old.dump() + ", is " + value.dump() + ")";
  }
  return text;
}

}  // namespace

nlohmann::json record_of(const TrainOptions& options, const std::string& data_hash,
                         const std::string& validation_hash) {
  return {{kFixed,
           {{"--data", data_hash},
            {"--validation", validation_hash},
            {"--hold-out", options.hold_out},
            {"--config", to_json(options.config)},
            {"--repeat", options.repeats},
            {"--lanes", options.lanes},
            {"--piece-blocks", options.piece_blocks},
            {"--qk-scale", options.qk_scale},
            {"--optimizer", options.optimizer},
            {"--seed", options.seed}}},
          {kMayChange,
           {{"--steps", options.steps},
            {"--blocks-per-step", options.blocks_per_step},
            {"--accumulate", options.accumulate},
            {"--learning-rate", options.learning_rate},
            {"--final-learning-rate", options.final_learning_rate},
            {"--warmup-steps", options.warmup_steps},
            {"--weight-decay", options.weight_decay},
            {"--clip-norm", options.clip_norm},
            {"--memory-dropout", options.memory_dropout},
            {"--state-dropout", options.state_dropout},
            {"--memory-replay", options.memory_replay},
            {"--compression-loss", options.compression_loss},
            {"--ema", options.average_decay},
            {"--dtype", options.dtype},
            {"--save-dtype", options.save_dtype},
            {"--validation-steps", options.validation_steps},
            {"--patience", options.patience}}}};
}

std::string recorded_dtype(const nlohmann::json& record) {
  return record.is_null() ? "" : record.at(kMayChange).value("--dtype", "");
}

std::string check_record(const TrainOptions& options, const nlohmann::json& before,
                         const nlohmann::json& now) {
  if (before.is_null()) return "";
  const auto out = options.out.string();
  const auto fixed = differences(before.at(kFixed), now.at(kFixed));
  if (!fixed.empty()) {
    throw std::runtime_error(out + " holds a run with other options: " + fixed +
                             "; use the options that it was started with, or give another folder with --out");
  }
  const auto changed = differences(before.at(kMayChange), now.at(kMayChange));
  return changed.empty() ? "" : out + " continues with changed options: " + changed;
}

}  // namespace unroll
