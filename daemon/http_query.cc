#include "daemon/http_query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace unroll {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ErrorCode::kInvalidParams, "the request's target: " + text);
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      unsigned value = 0;
      const auto digits = text.substr(i + 1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) {
        refuse("a '%' without two hexadecimal digits; write '%25' for the sign itself");
      }
      bytes += static_cast<char>(value);
      i += 2;
    } else {
      bytes += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return bytes;
}

std::optional<json> as_number(const std::string& text) {
  const char* last = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [end, error] = std::from_chars(text.data(), last, integer);
      error == std::errc() && end == last) {
    return integer;
  }
  double real = 0;
  if (const auto [end, error] = std::from_chars(text.data(), last, real);
      error == std::errc() && end == last && std::isfinite(real)) {
    return real;
  }
  return std::nullopt;
}

std::optional<json> as_boolean(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

/// The types that a plugin declares for an option; empty if it declares none.
std::vector<std::string> declared_types(const json& schema, const std::string& name) {
  if (!schema.is_object() || !schema.contains("properties")) return {};
  const json& properties = schema["properties"];
  if (!properties.is_object() || !properties.contains(name) || !properties[name].is_object()) return {};
  const json& option = properties[name];
  std::vector<std::string> types;
  const auto add = [&](const json& type) {
    if (type.is_string()) types.push_back(type.get<std::string>());
  };
  if (const auto type = option.find("type"); type != option.end()) {
    type->is_array() ? static_cast<void>(std::ranges::for_each(*type, add)) : add(*type);
  } else if (const auto choices = option.find("enum"); choices != option.end() && choices->is_array()) {
    const bool texts = std::ranges::all_of(*choices, [](const json& choice) { return choice.is_string(); });
    if (texts) types.emplace_back("string");
  }
  return types;
}

/// A value that does not fit its declared type stays text: the plugin's error explains it.
json to_value(const std::string& text, const std::vector<std::string>& types) {
  const auto may_be = [&](std::string_view type) {
    return types.empty() || std::ranges::find(types, type) != types.end();
  };
  if (may_be("boolean")) {
    if (auto value = as_boolean(text)) return *std::move(value);
  }
  if (may_be("number") || may_be("integer")) {
    if (auto value = as_number(text)) return *std::move(value);
  }
  if (!types.empty() && (may_be("array") || may_be("object"))) {
    const json value = json::parse(text, nullptr, false);
    if ((value.is_array() && may_be("array")) || (value.is_object() && may_be("object"))) return value;
  }
  return text;
}

void check_utf8(const std::string& text) {
  try {
    static_cast<void>(json(text).dump());
  } catch (const json::exception&) {
    refuse("not UTF-8 after its percent-escapes");
  }
}

}  // namespace

Target parse_target(std::string_view text) {
  Target target;
  const std::size_t question = text.find('?');
  target.path = percent_decode(text.substr(0, question), false);
  check_utf8(target.path);
  std::string_view query = question == std::string_view::npos ? "" : text.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string name = percent_decode(pair.substr(0, equals), true);
    std::optional<std::string> value;
    if (equals != std::string_view::npos) value = percent_decode(pair.substr(equals + 1), true);
    check_utf8(name);
    check_utf8(value.value_or(""));
    const auto same = [&](const auto& entry) { return entry.first == name; };
    if (std::ranges::any_of(target.query, same)) refuse("option '" + name + "' is given twice");
    target.query.emplace_back(name, std::move(value));
  }
  return target;
}

std::string take(Target& target, std::string_view option) {
  const auto found = std::ranges::find(target.query, option,
                                       [](const auto& entry) { return std::string_view(entry.first); });
  if (found == target.query.end()) return {};
  std::string name = found->second.value_or("");
  if (name.empty()) {
    const std::string given(option);
    refuse("option '" + given + "' has no value; name a " + (given == "from" ? "snapshot" : given) + ": ?" +
           given + "=NAME");
  }
  target.query.erase(found);
  return name;
}

json options_of(const Target& target, std::string_view schema) {
  const json declared = json::parse(schema, nullptr, false);
  json options = json::object();
  for (const auto& [name, value] : target.query) {
    options[name] = value ? to_value(*value, declared_types(declared, name)) : json(true);
  }
  return options;
}

}  // namespace unroll
