// JSON from a file that nobody vouches for: a key that stands twice in an object, deep nesting and long
// arrays are errors, where nlohmann::json alone would take the last key and any depth.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace unroll {

struct JsonLimits {
  int depth = 4;  ///< Of objects and arrays within each other.
  std::size_t values_in_array = 4096;
};

/// Throws std::runtime_error that says what is wrong, without the name of the file.
nlohmann::json parse_strict_json(std::string_view text, const JsonLimits& limits);

/// A value as an error message shows it: as JSON, cut to a screen's width, invalid UTF-8 and control
/// characters made harmless.
std::string shown(const nlohmann::json& value);

}  // namespace unroll
