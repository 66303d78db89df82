#include "plugins/json_border.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "plugins/library.h"

namespace unroll {
namespace {

/// Calls visit(byte, in_string) for each byte of a valid JSON text; the quotes count as inside.
template <class Visit>
void for_each_byte(std::string_view json, Visit visit) {
  bool in_string = false, escaped = false;
  for (const char c : json) {
    const bool quote = c == '"' && !escaped;
    if (quote && !in_string) {
      in_string = true;
      visit(c, true);
      continue;
    }
    visit(c, in_string);
    if (quote) in_string = false;
    escaped = in_string && c == '\\' && !escaped;
  }
}

int depth_of(std::string_view json) {
  int depth = 0, deepest = 0;
  for_each_byte(json, [&](char c, bool in_string) {
    if (in_string) return;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  });
  return deepest;
}

}  // namespace

std::string output_fault(std::string_view json) {
  if (json.size() > kMaxOutputBytes) {
    return "an output of " + std::to_string(json.size()) + " bytes; " + std::to_string(kMaxOutputBytes) +
           " are allowed";
  }
  // nlohmann_json skips a byte order mark, which is not allowed inside a stream, and stops at a NUL: what
  // follows, including newlines, would be sent unchecked.
  if (json.starts_with("\xEF\xBB\xBF") || json.find('\0') != std::string_view::npos ||
      !nlohmann::json::accept(json)) {
    return "an output that is not exactly one JSON value in UTF-8";
  }
  if (depth_of(json) > kMaxOutputDepth) {
    return "an output nested more than " + std::to_string(kMaxOutputDepth) + " deep";
  }
  return {};
}

std::string without_line_ends(std::string_view json) {
  if (json.find_first_of("\r\n") == std::string_view::npos) return std::string(json);
  std::string out;
  out.reserve(json.size());
  for_each_byte(json, [&](char c, bool in_string) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (in_string || !space) out.push_back(c);
  });
  return out;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string clean(text.substr(0, limit));
  std::replace_if(
      clean.begin(), clean.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  // dump() replaces invalid UTF-8 with U+FFFD; the quotes and escapes are then removed.
  const auto quoted = nlohmann::json(clean).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(quoted).get<std::string>();
}

}  // namespace unroll
