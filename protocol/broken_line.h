// Recovers what it can from a line that is not valid JSON, for a useful error response.
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace unroll {

/// The request's id, and an error if the cause is an unpaired UTF-16 surrogate, which some programs write.
struct BrokenLine {
  nlohmann::json id;  ///< Null if it cannot be read.
  std::optional<Error> surrogate;
};

BrokenLine look_at_broken(std::string_view line);

}  // namespace unroll
