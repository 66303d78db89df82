#include "plugins/builtin/records/levels.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/logfmt.h"

namespace unroll::records {
namespace {

struct Level {
  std::string_view name;
  int severity;
};

constexpr Level kLevels[] = {
    {"trace", kDetail},  {"debug", kDetail}, {"verbose", kDetail}, {"fine", kDetail},  {"finer", kDetail},
    {"finest", kDetail}, {"config", 0},      {"info", 0},          {"information", 0}, {"notice", 0},
    {"warn", 1},         {"warning", 1},     {"error", 2},         {"err", 2},         {"failure", 2},
    {"failed", 2},       {"fatal", 3},       {"severe", 3},        {"critical", 3},    {"crit", 3},
    {"emerg", 3},        {"alert", 3},       {"panic", 3},         {"emergency", 3},   {"dpanic", 3},
};
// Only as a level field's value: as words of a line they are too common.
constexpr Level kLetters[] = {{"t", kDetail}, {"v", kDetail}, {"d", kDetail}, {"i", 0}, {"n", 0},
                              {"w", 1},       {"e", 2},       {"c", 3},       {"f", 3}, {"a", 3}};
constexpr std::string_view kFieldOnly[] = {"verbose", "fine", "finer", "finest", "config"};
// In lower case these are words like any other.
constexpr std::string_view kCapitalsOnly[] = {"failed", "failure", "alert", "severe"};

// In lower case, without '.', '_', '-' and '@'.
constexpr std::string_view kLevelKeys[] = {"level",     "lvl",      "loglevel",     "severity",
                                           "levelname", "priority", "severitytext", "l",
                                           "s",         "levelno",  "levelvalue",   "severitynumber"};

std::optional<int> among(std::span<const Level> levels, std::string_view name) {
  const auto found =
      std::find_if(levels.begin(), levels.end(), [&](const Level& level) { return level.name == name; });
  return found == levels.end() ? std::nullopt : std::optional(found->severity);
}

bool is_among(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string plain_key(std::string_view key) {
  std::string plain = ascii::lower(key);
  std::erase_if(plain, [](char c) { return c == '.' || c == '_' || c == '-' || c == '@'; });
  return plain;
}

/// From which number on it is information, a warning, an error, fatal.
int by_limits(int number, int information, int warning, int error, int fatal) {
  return number >= fatal         ? 3
         : number >= error       ? 2
         : number >= warning     ? 1
         : number >= information ? 0
                                 : kDetail;
}

std::optional<int> severity_of_number(std::string_view key, int number) {
  if (number < 0 || key == "s" || key == "l") return std::nullopt;
  if (key == "levelno") return by_limits(number, 20, 30, 40, 50);                        // Python's logging
  if (key == "severitynumber") return by_limits(number, 9, 13, 17, 21);                  // OpenTelemetry
  if (number >= 1000) return by_limits(number, 20'000, 30'000, 40'000, 50'000);          // logback, log4j
  if (key == "severity" && number >= 100) return by_limits(number, 200, 400, 500, 600);  // Google Cloud
  if (number >= 10) return by_limits(number, 30, 40, 50, 60);                            // pino, bunyan
  return number <= 7 ? std::optional(severity_of_syslog(number)) : std::nullopt;
}

/// The letter with which a line of klog (E0302 08:07:42...), glog (E20260302 ...) or logcat (E/Tag( 12):, or
/// after date, time, process and thread) states its level; its position.
std::optional<std::size_t> level_letter(std::string_view line) {
  if (looks_like(line, "a9999 99:99:99") || looks_like(line, "a99999999 99:99:99") ||
      (looks_like(line, "a/a") && line.find("): ") < 64))
    return 0;
  if (!looks_like(line, "99-99 99:99:99.999 ")) return std::nullopt;
  std::size_t at = 18;
  for (int numbers = 0; numbers < 2; ++numbers) {
    while (at < line.size() && line[at] == ' ') ++at;
    while (at < line.size() && is_digit(line[at])) ++at;
  }
  const bool alone = at + 2 < line.size() && line[at] == ' ' && line[at + 2] == ' ';
  return alone ? std::optional(at + 1) : std::nullopt;
}

/// Whether `before`, what a line has before a word, is only a time or a number of lines.
bool only_time(std::string_view before) {
  return std::all_of(before.begin(), before.end(), [](char c) {
    return is_digit(c) || std::string_view(" \t:.,-+/TZ[]()").find(c) != std::string_view::npos;
  });
}

/// Whether the word is written like a level.
bool is_field(std::string_view line, std::size_t begin, std::size_t end) {
  const auto word = line.substr(begin, end - begin);
  const char before = begin == 0 ? ' ' : line[begin - 1], after = end == line.size() ? ' ' : line[end];
  if ((before == '[' && after == ']') || (before == '<' && after == '>')) return true;
  if (before == '\t' && after == '\t') return true;
  if (std::all_of(word.begin(), word.end(), is_upper))
    return std::string_view(" \t[|(").find(before) != std::string_view::npos &&
           std::string_view(" \t]|),:!/").find(after) != std::string_view::npos;
  return !is_among(word, kCapitalsOnly) && only_time(line.substr(0, begin)) &&
         (after == ':' || after == '\t' || (begin > 0 && after == ' ' && is_digit(line[0])));
}

}  // namespace

bool is_level_key(std::string_view key) {
  return is_among(plain_key(key), kLevelKeys);
}

int severity_of_syslog(int number) {
  return number <= 2 ? 3 : number == 3 ? 2 : number == 4 ? 1 : number <= 6 ? 0 : kDetail;
}

std::optional<int> severity_of_level(std::string_view key, std::string_view value) {
  if (!value.empty() && is_digit(value[0])) {
    int number = -1;
    const auto end = std::from_chars(value.data(), value.data() + value.size(), number).ptr;
    if (end != value.data() + value.size()) return std::nullopt;
    // Only journald's PRIORITY is a level if it is a number: tasks have priorities as well.
    if (ascii::lower(key) == "priority" && key != "PRIORITY") return std::nullopt;
    return severity_of_number(plain_key(key), number);
  }
  std::string name = ascii::lower(value);
  if (const auto level = among(kLevels, name)) return level;
  while (!name.empty() && is_digit(name.back())) name.pop_back();  // MongoDB: D1 to D5
  return among(kLetters, name);
}

std::optional<WrittenLevel> find_level(std::string_view line) {
  if (const auto letter = level_letter(line)) {
    if (const auto severity = among(kLetters, ascii::lower(line.substr(*letter, 1))))
      return WrittenLevel{*severity, *letter};
  }
  if (const auto level = level_of_logfmt(line)) return level;
  for (std::size_t i = 0; i < line.size();) {
    std::size_t end = i;
    while (end < line.size() && is_letter(line[end])) ++end;
    if (end == i) {
      ++i;
      continue;
    }
    const std::string word = ascii::lower(line.substr(i, end - i));
    const auto level = among(kLevels, word);
    if (level && !is_among(word, kFieldOnly) && is_field(line, i, end)) return WrittenLevel{*level, i};
    i = end;
  }
  return std::nullopt;
}

}  // namespace unroll::records
