// A request's target taken apart: percent-decoded path, and the query as a plugin's options.
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
  /// ?top=5&session: names with their values, in order; a name without "=" has none.
  std::vector<std::pair<std::string, std::optional<std::string>>> query;
};

/// Throws Error(kInvalidParams) for a broken percent-escape, a name given twice, or bytes that are not UTF-8.
Target parse_target(std::string_view target);

/// The query as a plugin's options. `schema` is the JSON Schema in which the plugin declares them (may be
/// empty): a value becomes what its declared type is, text if that is a string. Of an option that is not
/// declared, `true`, `false` and what JSON writes as a number are those, all else is text.
nlohmann::json options_of(const Target& target, std::string_view schema);

}  // namespace unroll
