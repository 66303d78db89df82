// What the plugin anomaly says about when lines come and about numbers out of range, for people.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace unroll {

/// Whether an output of the plugin is of type "rate".
bool is_rate(const nlohmann::json& output);
/// "none for 1:40, 12 s at most before: LINE"
std::string rate_text(const nlohmann::json& rate);
/// "  (503: 200 to 200 before)", of an output's `number`.
std::string range_text(const nlohmann::json& number);

}  // namespace unroll
