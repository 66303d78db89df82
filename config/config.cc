#include "config/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <numeric>
#include <optional>
#include <sstream>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strict_json.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ErrorCode::kInvalidParams, text);
}

/// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string_view nearest_key(std::string_view name) {
  const auto keys = config_keys();
  return std::ranges::min_element(keys, {}, [&](const ConfigKey& key) { return distance(name, key.name); })
      ->name;
}

[[noreturn]] void refuse_unknown(const std::string& name) {
  refuse("unknown configuration key '" + name + "'; the nearest known one is '" +
         std::string(nearest_key(name)) + "'. `unrolld --describe-config` lists them all");
}

const ConfigKey& find_key(std::string_view name) {
  for (const ConfigKey& key : config_keys()) {
    if (key.name == name) return key;
  }
  refuse_unknown(std::string(name));
}

std::string join(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

void check_mode(const std::string& value) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
  if (error != std::errc() || end != value.data() + value.size() || mode > 0777) {
    refuse("configuration key 'socket.mode': '" + value + "' is not an octal mode such as \"0600\"");
  }
}

void set_string(const ConfigKey& key, std::string value, std::string Config::*member, Config& config) {
  if (!key.choices.empty() && std::ranges::find(key.choices, value) == key.choices.end()) {
    refuse("configuration key '" + std::string(key.name) + "': '" + value + "' is not one of " +
           join(key.choices));
  }
  if (key.name == "socket.mode") check_mode(value);
  config.*member = std::move(value);
}

ModelEntry read_model(const std::string& key, const json& value) {
  constexpr auto kForm = "must be a list of paths and of {\"name\", \"path\", \"settings\", \"dtype\"}";
  ModelEntry model;
  const std::array<std::pair<std::string_view, std::string*>, 4> members = {
      {{"name", &model.name}, {"path", &model.path}, {"settings", &model.settings}, {"dtype", &model.dtype}}};
  if (value.is_string()) {
    model.path = value.get<std::string>();
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      const auto known = std::ranges::find(members, name, [](const auto& entry) { return entry.first; });
      if (known == members.end() || !member.is_string()) refuse("configuration key '" + key + "' " + kForm);
      *known->second = member.get<std::string>();
    }
  }
  if (model.path.empty()) refuse("configuration key '" + key + "' " + kForm);
  if (!model.dtype.empty()) {
    Config checked;
    set_config_value("model.dtype", model.dtype, checked);
  }
  return model;
}

void set_models(const std::string& key, const json& value, std::vector<ModelEntry>& models) {
  if (!value.is_array()) refuse("configuration key '" + key + "' must be a list, not " + value.type_name());
  std::vector<ModelEntry> list;
  for (const json& entry : value) list.push_back(read_model(key, entry));
  models = std::move(list);
}

ordered_json to_json(const std::vector<ModelEntry>& models) {
  ordered_json list = ordered_json::array();
  for (const ModelEntry& model : models) {
    list.push_back(
        {{"name", model.name}, {"path", model.path}, {"settings", model.settings}, {"dtype", model.dtype}});
  }
  return list;
}

void set_value(const ConfigKey& key, const json& value, Config& config) {
  const std::string name(key.name);
  if (const auto* member = std::get_if<std::vector<ModelEntry> Config::*>(&key.member))
    return set_models(name, value, config.**member);
  if (const auto* member = std::get_if<std::string Config::*>(&key.member)) {
    if (!value.is_string())
      refuse("configuration key '" + name + "' must be a string, not " + value.type_name());
    return set_string(key, value.get<std::string>(), *member, config);
  }
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(key.maximum)
                        : value.is_number_integer();
  if (!fits || value.get<std::int64_t>() < key.minimum || value.get<std::int64_t>() > key.maximum) {
    refuse("configuration key '" + name + "' must be an integer from " + std::to_string(key.minimum) +
           " to " + std::to_string(key.maximum));
  }
  config.*std::get<std::int64_t Config::*>(key.member) = value.get<std::int64_t>();
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(config_keys(), [&](const ConfigKey& key) {
    return key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.';
  });
}

void apply_section(const json& object, const std::string& prefix, Config& config) {
  for (const auto& [name, value] : object.items()) {
    const std::string full = prefix + name;
    if (!is_section(full)) {
      set_value(find_key(full), value, config);
    } else if (value.is_object()) {
      apply_section(value, full + ".", config);
    } else {
      refuse("configuration key '" + full + "' must be an object, not " + value.type_name());
    }
  }
}

/// A key's value as JSON.
ordered_json value_of(const ConfigKey& key, const Config& config) {
  return std::visit(
      [&](auto member) {
        if constexpr (std::is_same_v<decltype(member), std::vector<ModelEntry> Config::*>) {
          return to_json(config.*member);
        } else {
          return ordered_json(config.*member);
        }
      },
      key.member);
}

}  // namespace

void apply_config(const json& value, Config& config) {
  if (!value.is_object())
    refuse(std::string("the configuration must be a JSON object, not ") + value.type_name());
  apply_section(value, "", config);
}

Config load_config(const std::filesystem::path& file) {
  const std::string name = "configuration file '" + file.string() + "': ";
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) refuse(name + "is a folder; name a file");
  std::ifstream stream(file);
  if (!stream) refuse(name + "cannot be opened; check its path and its rights");
  Config config;
  try {
    // Comments are allowed, so that a file can give reasons.
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    apply_config(parse_strict_json(text, {.comments = true}), config);
  } catch (const JsonError& error) {
    refuse(name + error.what());
  } catch (const Error& error) {
    refuse(name + error.what());
  }
  return config;
}

void set_config_value(std::string_view name, const std::string& value, Config& config) {
  const ConfigKey& key = find_key(name);
  if (!std::holds_alternative<std::int64_t Config::*>(key.member)) return set_value(key, json(value), config);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = error == std::errc() && end == value.data() + value.size();
  set_value(key, whole ? json(number) : json(value), config);
}

std::string print_config(const Config& config) {
  ordered_json root = ordered_json::object();
  for (const ConfigKey& key : config_keys()) {
    const auto dot = key.name.find('.');
    ordered_json& section = dot == std::string_view::npos ? root : root[std::string(key.name.substr(0, dot))];
    section[std::string(dot == std::string_view::npos ? key.name : key.name.substr(dot + 1))] =
        value_of(key, config);
  }
  return root.dump(2) + "\n";
}

std::string describe_config() {
  std::ostringstream text;
  text << "# Configuration of unrolld\n\n"
          "<!-- Made by `unrolld --describe-config` from the table in config/keys.cc; do not edit. -->\n\n"
          "`unrolld --config FILE` reads a JSON file (comments with `//` are allowed). It needs only the "
          "keys that "
          "differ\n"
          "from their default; an unknown key is an error. `unrolld --print-config` prints the effective "
          "configuration.\n"
          "A key `section.key` is `{\"section\": {\"key\": ...}}`. Options on the command line override the "
          "file.\n\n"
          "| key | default | unit | meaning |\n|---|---|---|---|\n";
  const Config defaults;
  for (const ConfigKey& key : config_keys()) {
    text << "| `" << key.name << "` | `" << value_of(key, defaults).dump() << "` | " << key.unit << " | "
         << key.description;
    if (!key.choices.empty()) text << " One of " << join(key.choices) << ".";
    if (std::holds_alternative<std::int64_t Config::*>(key.member)) {
      text << " At least " << key.minimum;
      if (key.maximum != std::numeric_limits<std::int64_t>::max()) text << ", at most " << key.maximum;
      text << ".";
    }
    text << " |\n";
  }
  return text.str();
}

}  // namespace unroll
