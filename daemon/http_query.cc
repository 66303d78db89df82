#include "daemon/http_query.h"

#include <charconv>
#include <cmath>

#include "engine/error.h"

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

/// A number where the whole text is one as JSON writes it, a truth value, else the text.
json to_value(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
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
    const std::string value =
        equals == std::string_view::npos ? "true" : percent_decode(pair.substr(equals + 1), true);
    check_utf8(name);
    check_utf8(value);
    if (target.options.contains(name)) refuse("option '" + name + "' is given twice");
    target.options[name] = to_value(value);
  }
  return target;
}

}  // namespace unroll
