// What a run was started with, kept in its checkpoint: going on with other data or another shape would not be
// the same run any more.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "training/trainer.h"

namespace unroll {

/// By the names of the command line. `data_hash` and `validation_hash` stand for what was read.
nlohmann::json record_of(const TrainOptions& options, const std::string& data_hash,
                         const std::string& validation_hash);

/// The dtype that a run with this record goes on in; empty if it says nothing.
std::string recorded_dtype(const nlohmann::json& record);

/// Throws std::runtime_error that names the options where the run in options.out cannot go on with them;
/// returns a line about those that it goes on with though they have changed, or nothing. `before` may be null
/// (a checkpoint without a record).
std::string check_record(const TrainOptions& options, const nlohmann::json& before,
                         const nlohmann::json& now);

}  // namespace unroll
