#include "client/logs/ignore_rules.h"

#include <fstream>

#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr std::size_t kMostBytes = 4096;  // of a line that are looked at: the library recurses for each

}  // namespace

IgnoreRules::IgnoreRules(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw CommandError("cannot read " + file + "; check the path of --ignore-file");
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    try {
      rules_.emplace_back(number, std::regex(line, std::regex::ECMAScript | std::regex::optimize));
    } catch (const std::regex_error& error) {
      throw CommandError(file + ", line " + std::to_string(number) +
                         ": not a regular expression of ECMAScript: " + error.what());
    }
  }
}

std::uint64_t IgnoreRules::rule_for(std::string_view text) const {
  const std::string_view looked = text.substr(0, kMostBytes);
  for (const auto& [number, rule] : rules_) {
    if (std::regex_search(looked.begin(), looked.end(), rule)) return number;
  }
  return 0;
}

}  // namespace unroll
