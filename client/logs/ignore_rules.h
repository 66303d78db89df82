// What --ignore-file holds: which lines of a log are never unusual.
#pragma once

#include <cstdint>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace unroll {

/// Regular expressions, one per line of a file; empty lines and lines that begin with '#' are none.
class IgnoreRules {
 public:
  IgnoreRules() = default;
  /// Throws CommandError, which names the line that is not a regular expression.
  explicit IgnoreRules(const std::string& file);
  bool empty() const { return rules_.empty(); }
  /// The number of the line of the rule that matches; 0 if none does.
  std::uint64_t rule_for(std::string_view text) const;

 private:
  std::vector<std::pair<std::uint64_t, std::regex>> rules_;
};

}  // namespace unroll
