// Reads a configuration that is a JSON object and checks each key as it is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strict_json.h"

namespace unroll {

template <typename Value>
using Choices = std::vector<std::pair<const char*, Value>>;

/// Throws std::runtime_error: "KEY": PROBLEM
[[noreturn]] void fail_key(std::string_view key, const std::string& problem);

/// Takes keys out of a JSON object (held by reference) one by one; keys that are left at the end are unknown.
/// Throws std::runtime_error that names the key, its value and the allowed values.
class ConfigKeys {
 public:
  explicit ConfigKeys(const nlohmann::json& json);

  /// Null if the key is absent.
  const nlohmann::json* find(const char* key);
  /// Null if the key is absent or null.
  const nlohmann::json* find_value(const char* key);

  void take(const char* key, std::int64_t& value, std::int64_t least, std::int64_t most);
  void require(const char* key, std::int64_t& value, std::int64_t least, std::int64_t most);
  void take(const char* key, bool& value);
  /// False if the key is absent or null, with which the reference asks for its default.
  bool take_layers(const char* key, std::vector<std::int64_t>& value, std::int64_t depth);

  template <typename Value>
  void take(const char* key, Value& value, const Choices<Value>& choices) {
    const auto* json = find(key);
    if (!json) return;
    std::string names;
    for (const auto& [name, choice] : choices) {
      if (*json == name) {
        value = choice;
        return;
      }
      names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    }
    fail_key(key, shown(*json) + " is none of " + names);
  }

  void reject_unknown() const;

  static std::int64_t integer(std::string_view key, const nlohmann::json& json, std::int64_t least,
                              std::int64_t most);

 private:
  std::string nearest(std::string_view key) const;

  const nlohmann::json& json_;
  std::set<std::string, std::less<>> known_;
};

/// Parses a small configuration file. Throws std::runtime_error without the file's name.
nlohmann::json read_config_json(const std::filesystem::path& file);

}  // namespace unroll
