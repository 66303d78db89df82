// The options of a run, recorded in its checkpoint: with other data or another shape it would not be the same
// run.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "training/trainer.h"

namespace unroll {

/// By command-line name. `data_hash` and `validation_hash` identify the text that was read.
nlohmann::json record_of(const TrainOptions& options, const std::string& data_hash,
                         const std::string& validation_hash);

/// The dtype in which a run with this record continues; empty if not recorded.
std::string recorded_dtype(const nlohmann::json& record);

/// Throws std::runtime_error, which names the options, if the run in options.out cannot continue with them.
/// Returns a line about changed options that it can continue with, or an empty string. `before` may be null
/// (a checkpoint without a record).
std::string check_record(const TrainOptions& options, const nlohmann::json& before,
                         const nlohmann::json& now);

}  // namespace unroll
