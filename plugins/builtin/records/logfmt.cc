#include "plugins/builtin/records/logfmt.h"

#include "plugins/builtin/records/characters.h"

namespace unroll::records {
namespace {

bool in_key(char c) {
  return is_alnum(c) || c == '_' || c == '.' || c == '-' || c == '@';
}

/// After the closing quote; the line's end if there is none.
std::size_t end_of_quoted(std::string_view line, std::size_t begin) {
  for (std::size_t i = begin + 1; i < line.size(); ++i) {
    if (line[i] == '\\')
      ++i;
    else if (line[i] == '"')
      return i + 1;
  }
  return line.size();
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
    Pair pair{line.substr(key, equals - key), {}, key, equals + 1};
    if (pair.end < line.size() && line[pair.end] == '"') {
      pair.end = end_of_quoted(line, pair.end);
      const auto closing = line[pair.end - 1] == '"' && pair.end > equals + 2 ? 1 : 0;
      pair.value = line.substr(equals + 2, pair.end - closing - (equals + 2));
    } else {
      while (pair.end < line.size() && !is_blank(line[pair.end])) ++pair.end;
      pair.value = line.substr(equals + 1, pair.end - equals - 1);
    }
    return pair;
  }
  return std::nullopt;
}

std::optional<WrittenLevel> level_of_logfmt(std::string_view line) {
  std::optional<WrittenLevel> level;
  int pairs = 0;
  for (auto pair = next_pair(line, 0); pair; pair = next_pair(line, pair->end)) {
    ++pairs;
    if (!level && is_level_key(pair->key)) {
      if (const auto severity = severity_of_level(pair->key, pair->value))
        level = WrittenLevel{*severity, pair->at};
    }
    if (level && pairs > 1) return level;
  }
  return std::nullopt;
}

}  // namespace unroll::records
