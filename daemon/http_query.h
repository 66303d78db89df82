// Parses a request's target: percent-decoded path, and the query as a plugin's options.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

struct Target {
  std::string path;
  /// ?top=5&session: names and values in order; a name without "=" has no value.
  std::vector<std::pair<std::string, std::optional<std::string>>> query;
};

/// Throws Error(kInvalidParams) for an invalid percent-escape, a duplicate name, or invalid UTF-8.
Target parse_target(std::string_view target);

/// The value of ?model=NAME, for example, which is taken out of the query; empty if there is none.
std::string take(Target& target, std::string_view option);

/// The query as a plugin's options. `schema` is the plugin's JSON Schema (may be empty): a value is converted
/// to its declared type. Without a declaration, `true`, `false` and JSON numbers are converted; everything
/// else is text.
nlohmann::json options_of(const Target& target, std::string_view schema);

}  // namespace unroll
