// A request's target taken apart: percent-decoded path, and the query as a plugin's options.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace unroll {

struct Target {
  std::string path;
  nlohmann::json options =
      nlohmann::json::object();  ///< ?top=5&granularity=line: numbers, true, false, else strings.
};

/// Throws Error(kInvalidParams) for a broken percent-escape, a name given twice, or bytes that are not UTF-8.
Target parse_target(std::string_view target);

}  // namespace unroll
