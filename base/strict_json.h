// Parses JSON from an untrusted source. A duplicate key, deep nesting, a long array, a NUL byte and bytes
// that are not UTF-8 are errors; nlohmann::json alone takes the last of two keys, accepts any depth, and
// stops at a NUL.
#pragma once

#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace unroll {

struct JsonLimits {
  int depth = 4;  ///< Nesting of objects and arrays.
  std::size_t values_in_array = std::numeric_limits<std::size_t>::max();
  std::size_t values = std::numeric_limits<std::size_t>::max();  ///< Total, including objects and arrays.
  bool comments = false;                                         ///< Accept C and C++ comments.
};

/// what() gives the problem and the byte offset. It does not name the source or quote values.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws JsonError.
nlohmann::json parse_strict_json(std::string_view text, const JsonLimits& limits);

/// Formats a value for an error message: JSON, cut to the width of a screen, with invalid UTF-8 replaced and
/// control characters escaped.
std::string shown(const nlohmann::json& value);

}  // namespace unroll
