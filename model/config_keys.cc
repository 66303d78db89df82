#include "model/config_keys.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace unroll {
namespace {

constexpr std::uintmax_t kMaxConfigBytes = 1 << 20;
constexpr std::size_t kLongestArray = 4096;

/// Levenshtein distance, over a limited prefix of each.
std::size_t distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

void fail_key(std::string_view key, const std::string& problem) {
  throw std::runtime_error("\"" + std::string(key) + "\": " + problem);
}

ConfigKeys::ConfigKeys(const nlohmann::json& json) : json_(json) {
  if (!json.is_object()) throw std::runtime_error("the configuration is not a JSON object");
}

const nlohmann::json* ConfigKeys::find(const char* key) {
  known_.insert(key);
  const auto found = json_.find(key);
  return found == json_.end() ? nullptr : &*found;
}

const nlohmann::json* ConfigKeys::find_value(const char* key) {
  const auto* json = find(key);
  return json && json->is_null() ? nullptr : json;
}

void ConfigKeys::take(const char* key, std::int64_t& value, std::int64_t least, std::int64_t most) {
  if (const auto* json = find(key)) value = integer(key, *json, least, most);
}

void ConfigKeys::require(const char* key, std::int64_t& value, std::int64_t least, std::int64_t most) {
  if (!find(key)) fail_key(key, "is missing; the configuration needs it");
  take(key, value, least, most);
}

void ConfigKeys::take(const char* key, bool& value) {
  const auto* json = find(key);
  if (!json) return;
  if (!json->is_boolean()) fail_key(key, shown(*json) + " is not true or false");
  value = json->get<bool>();
}

bool ConfigKeys::take_layers(const char* key, std::vector<std::int64_t>& value, std::int64_t depth) {
  const auto* json = find_value(key);
  if (!json) return false;
  if (!json->is_array()) fail_key(key, shown(*json) + " is not a list of layers, such as [2]");
  value.clear();
  for (const auto& layer : *json) value.push_back(integer(key, layer, 1, depth));
  return true;
}

std::int64_t ConfigKeys::integer(std::string_view key, const nlohmann::json& json, std::int64_t least,
                                 std::int64_t most) {
  if (!json.is_number_integer()) fail_key(key, shown(json) + " is not a whole number");
  const bool too_big =
      json.is_number_unsigned() &&
      json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (too_big || json.get<std::int64_t>() < least || json.get<std::int64_t>() > most) {
    fail_key(key, shown(json) + " is not between " + std::to_string(least) + " and " + std::to_string(most));
  }
  return json.get<std::int64_t>();
}

void ConfigKeys::reject_unknown() const {
  std::string problem;
  for (const auto& [key, value] : json_.items()) {
    if (known_.contains(key)) continue;
    problem += (problem.empty() ? "unknown key " : ", ") + shown(key) + " (the nearest known one is \"" +
               nearest(key) + "\")";
  }
  if (!problem.empty()) throw std::runtime_error(problem + "; remove or rename it");
}

std::string ConfigKeys::nearest(std::string_view key) const {
  return *std::ranges::min_element(known_, {}, [&](const auto& known) { return distance(key, known); });
}

nlohmann::json read_config_json(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) throw std::runtime_error("cannot be read: " + error.message());
  if (size > kMaxConfigBytes)
    throw std::runtime_error("is larger than 1 MiB; it is not a model configuration");
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error("cannot be read");
  return parse_strict_json(text.view(), {.values_in_array = kLongestArray});
}

}  // namespace unroll
