// A line that is no JSON, and what can still be said of it.
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace unroll {

/// Whose request it is, and whether half of a character, as some programs write it, is what is wrong.
struct BrokenLine {
  nlohmann::json id;  ///< Null if it is not known.
  std::optional<Error> surrogate;
};

BrokenLine look_at_broken(std::string_view line);

}  // namespace unroll
