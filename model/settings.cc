#include "model/settings.h"

#include <charconv>
#include <stdexcept>

#include "base/strict_json.h"

namespace unroll {

void add_setting(std::string_view text, ModelSettings& settings) {
  const auto equals = text.find('=');
  const auto key = text.substr(0, equals);
  const auto value = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (key.empty() || value.empty() || error != std::errc() || end != value.data() + value.size())
    throw std::runtime_error(shown(text) + " is not KEY=VALUE with a whole number, such as block_width=256");
  settings[std::string(key)] = number;
}

ModelSettings parse_settings(std::string_view list) {
  ModelSettings settings;
  while (!list.empty()) {
    const auto comma = list.find(',');
    add_setting(list.substr(0, comma), settings);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return settings;
}

}  // namespace unroll
