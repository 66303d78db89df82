// JSON from a source that is not trusted. A duplicate key, deep nesting, a long array, a NUL byte and bytes
// that are not UTF-8 are errors; nlohmann::json alone takes the last of two keys, any depth, and a NUL for
// the end.
#pragma once

#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace unroll {

struct JsonLimits {
  int depth = 4;  ///< Of objects and arrays within each other.
  std::size_t values_in_array = std::numeric_limits<std::size_t>::max();
  std::size_t values = std::numeric_limits<std::size_t>::max();  ///< In all, objects and arrays among them.
  bool comments = false;                                         ///< Skips comments as in C and C++.
};

/// what() says what is wrong and at which byte, without the name of the source and without quoting values.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws JsonError.
nlohmann::json parse_strict_json(std::string_view text, const JsonLimits& limits);

/// A value as an error message shows it: as JSON, cut to the width of a screen, with invalid UTF-8 replaced
/// and control characters escaped.
std::string shown(const nlohmann::json& value);

}  // namespace unroll
