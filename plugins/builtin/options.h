// A document's options for a built-in plugin. Each known key is read by name; keys that were not read are
// errors.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "unroll/plugin.hpp"

namespace unroll::builtin {

class Options {
 public:
  explicit Options(std::string_view text) : json_(nlohmann::json::parse(text, nullptr, false)) {
    if (!json_.is_object()) throw plugin::OptionsError("the options must be a JSON object");
  }

  std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t least, std::int64_t most) {
    const auto* value = take(key);
    if (value == nullptr) return fallback;
    const bool whole = value->is_number_integer();
    // Compared as unsigned first, so that a number beyond int64 does not wrap around into the range.
    const bool huge =
        value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    if (!whole || huge || value->get<std::int64_t>() < least || value->get<std::int64_t>() > most) {
      throw plugin::OptionsError("option \"" + key + "\" is " + shown(*value) +
                                 "; it must be a whole number from " + std::to_string(least) + " to " +
                                 std::to_string(most));
    }
    return value->get<std::int64_t>();
  }

  bool flag(const std::string& key, bool fallback) {
    const auto* value = take(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean())
      throw plugin::OptionsError("option \"" + key + "\" is " + shown(*value) + "; it must be true or false");
    return value->get<bool>();
  }

  /// Nullopt if the key was not given.
  std::optional<double> number(const std::string& key, double least, double most) {
    const auto* value = take(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number() || !(value->get<double>() >= least) || !(value->get<double>() <= most)) {
      throw plugin::OptionsError("option \"" + key + "\" is " + shown(*value) +
                                 "; it must be a number from " + nlohmann::json(least).dump() + " to " +
                                 nlohmann::json(most).dump());
    }
    return value->get<double>();
  }

  /// Empty if the key was not given.
  std::string text(const std::string& key, std::size_t most_bytes) {
    const auto* value = take(key);
    if (value == nullptr) return {};
    const auto* given = value->get_ptr<const std::string*>();
    if (given == nullptr || given->empty() || given->size() > most_bytes) {
      throw plugin::OptionsError("option \"" + key + "\" is " + shown(*value) +
                                 "; it must be a text of 1 to " + std::to_string(most_bytes) + " bytes");
    }
    return *given;
  }

  std::string choice(const std::string& key, std::initializer_list<const char*> allowed,
                     const char* fallback) {
    const auto* value = take(key);
    if (value == nullptr) return fallback;
    std::string list;
    for (const char* name : allowed) {
      if (value->is_string() && value->get_ref<const std::string&>() == name) return name;
      list += (list.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    }
    throw plugin::OptionsError("option \"" + key + "\" is " + shown(*value) + "; it must be one of " + list);
  }

  /// Call last: throws if a key was given that none of the calls above read.
  void done() const {
    std::string list;
    for (const auto& key : asked_) list += (list.empty() ? "\"" : ", \"") + key + "\"";
    for (const auto& [key, value] : json_.items()) {
      if (!asked_.contains(key)) {
        throw plugin::OptionsError("option " + shown(key) + " is unknown; the options are " + list);
      }
    }
  }

 private:
  const nlohmann::json* take(const std::string& key) {
    asked_.insert(key);
    const auto it = json_.find(key);
    return it == json_.end() ? nullptr : &*it;
  }
  static std::string shown(const nlohmann::json& value) {
    const auto text = value.dump(-1, ' ', true);  // ASCII, so that it can be cut anywhere
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
  }

  nlohmann::json json_;
  std::set<std::string> asked_;
};

}  // namespace unroll::builtin
