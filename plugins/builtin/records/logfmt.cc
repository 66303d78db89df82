#include "plugins/builtin/records/logfmt.h"

#include <algorithm>

#include "plugins/builtin/records/characters.h"

namespace unroll::records {
namespace {

bool in_key(char c) {
  return is_alnum(c) || c == '_' || c == '.' || c == '-' || c == '@';
}
bool is_quote(char c) {
  return c == '"' || c == '\'';
}

/// After the closing quote; npos if there is none.
std::size_t end_of_quoted(std::string_view line, std::size_t begin) {
  for (std::size_t i = begin + 1; i < line.size(); ++i) {
    if (line[i] == '\\')
      ++i;
    else if (line[i] == line[begin])
      return i + 1;
  }
  return std::string_view::npos;
}

/// a=1,b=2: whether another pair follows the comma.
bool ends_pair(std::string_view line, std::size_t comma) {
  std::size_t i = comma + 1;
  while (i < line.size() && in_key(line[i])) ++i;
  return i > comma + 1 && i < line.size() && line[i] == '=';
}

/// The value that begins there, with its quotes; `end`: after it.
std::string_view value_at(std::string_view line, std::size_t begin, std::size_t& end) {
  const bool quoted = begin < line.size() && is_quote(line[begin]);
  end = quoted ? end_of_quoted(line, begin) : std::string_view::npos;
  if (end != std::string_view::npos) return line.substr(begin + 1, end - begin - 2);
  if (quoted && line[begin] == '"') {  // cut off
    end = line.size();
    return line.substr(begin + 1);
  }
  end = begin;
  while (end < line.size() && !is_blank(line[end]) && !(line[end] == ',' && ends_pair(line, end))) ++end;
  return line.substr(begin, end - begin);
}

std::string_view without_trailing_marks(std::string_view value) {
  while (!value.empty() && std::string_view(",;)]}").find(value.back()) != std::string_view::npos)
    value.remove_suffix(1);
  return value;
}

/// Whether what is before a key is nothing, a time, or ends a field before it.
bool begins_field(std::string_view before) {
  before = without_trailing_blanks(before);
  if (!before.empty() && std::string_view("[]{(,;|").find(before.back()) != std::string_view::npos)
    return true;
  return std::none_of(before.begin(), before.end(),
                      [](char c) { return is_letter(c) && c != 'T' && c != 'Z'; });
}

/// Whether a number is a severity: many things have levels (of compression, of a battery).
bool names_severity(std::string_view key) {
  return ascii::lower(key).ends_with("severity") || key == "PRIORITY";
}

/// level=error with at least one more pair, or where a field begins.
std::optional<WrittenLevel> level_of_pairs(std::string_view line) {
  std::optional<WrittenLevel> level;
  int pairs = 0;
  for (auto pair = next_pair(line, 0); pair; pair = next_pair(line, pair->end)) {
    ++pairs;
    const auto value = without_trailing_marks(pair->value);
    const bool is_small = value.size() == 1 && is_digit(value[0]) && !names_severity(pair->key);
    if (!level && is_level_key(pair->key) && !pair->key.starts_with('-') && !is_small) {
      if (const auto severity = severity_of_level(pair->key, value)) {
        level = WrittenLevel{*severity, pair->at};
        if (!is_weak_level_key(pair->key) && begins_field(line.substr(0, pair->at))) return level;
      }
    }
    if (level && pairs > 1) return level;
  }
  return std::nullopt;
}

/// level: error, "level":50, where a field begins.
std::optional<WrittenLevel> level_of_colons(std::string_view line) {
  for (std::size_t colon = line.find(':'); colon != std::string_view::npos;
       colon = line.find(':', colon + 1)) {
    std::size_t end = colon;
    const bool quoted = end > 0 && is_quote(line[end - 1]);
    end -= quoted ? 1 : 0;
    std::size_t begin = end;
    while (begin > 0 && in_key(line[begin - 1])) --begin;
    const auto key = line.substr(begin, end - begin);
    if (key.size() < 3 || is_weak_level_key(key) || !is_level_key(key)) continue;
    const bool opened = begin > 0 && is_quote(line[begin - 1]);
    if (opened != quoted || !begins_field(line.substr(0, begin - (opened ? 1 : 0)))) continue;
    const std::size_t from = line.size() - without_leading_blanks(line.substr(colon + 1)).size();
    std::size_t value_end = 0;
    auto value = value_at(line, from, value_end);
    value = without_trailing_marks(value.substr(0, value.find_first_of(", ")));
    const bool is_number = !value.empty() && is_digit(value[0]);
    if (is_number && !quoted && !names_severity(key)) continue;
    if (const auto severity = severity_of_level(key, value)) return WrittenLevel{*severity, begin};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Pair> next_pair(std::string_view line, std::size_t from) {
  for (std::size_t equals = line.find('=', from); equals != std::string_view::npos;
       equals = line.find('=', equals + 1)) {
    std::size_t key = equals;
    while (key > from && in_key(line[key - 1])) --key;
    const bool is_word = key < equals && (key == 0 || is_blank(line[key - 1]) || line[key - 1] == '[' ||
                                          line[key - 1] == '(' || line[key - 1] == ',');
    if (!is_word) continue;
    Pair pair{line.substr(key, equals - key), {}, key, 0};
    pair.value = value_at(line, equals + 1, pair.end);
    return pair;
  }
  return std::nullopt;
}

std::optional<WrittenLevel> level_by_key(std::string_view line) {
  if (const auto level = level_of_pairs(line)) return level;
  return level_of_colons(line);
}

}  // namespace unroll::records
