#include "plugins/builtin/records/levels.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/logfmt.h"
#include "plugins/builtin/records/record.h"

namespace unroll::records {
namespace {

enum class As : std::uint8_t {
  kWord,      // anywhere
  kCapitals,  // in lower case it is a word like any other
  kBrackets,  // only in brackets, or as the value of a field
  kValue,     // only as the value of a field
};
struct Level {
  std::string_view name;
  int severity;
  As as = As::kWord;
};

constexpr Level kLevels[] = {
    {"trace", kDetail},
    {"debug", kDetail},
    {"info", 0},
    {"information", 0},
    {"notice", 0},
    {"warn", 1},
    {"warning", 1},
    {"error", 2},
    {"err", 2},
    {"fatal", 3},
    {"critical", 3},
    {"crit", 3},
    {"emerg", 3},
    {"panic", 3},
    {"emergency", 3},
    {"dpanic", 3},
    {"fail", 2},
    {"failure", 2, As::kCapitals},
    {"failed", 2, As::kCapitals},
    {"alert", 3, As::kCapitals},
    {"severe", 3, As::kCapitals},
    // German, French, Italian
    {"fehler", 2, As::kCapitals},
    {"warnung", 1, As::kCapitals},
    {"erreur", 2, As::kCapitals},
    {"avertissement", 1, As::kCapitals},
    {"errore", 2, As::kCapitals},
    {"avviso", 1, As::kCapitals},
    // Serilog, zerolog
    {"vrb", kDetail, As::kCapitals},
    {"trc", kDetail, As::kCapitals},
    {"dbg", kDetail, As::kCapitals},
    {"inf", 0, As::kCapitals},
    {"wrn", 1, As::kCapitals},
    {"ftl", 3, As::kCapitals},
    {"pnc", 3, As::kCapitals},
    // logrus, log15
    {"trac", kDetail, As::kCapitals},
    {"debu", kDetail, As::kCapitals},
    {"dbug", kDetail},
    {"erro", 2, As::kCapitals},
    {"eror", 2, As::kCapitals},
    {"fata", 3, As::kCapitals},
    {"pani", 3, As::kCapitals},
    // .NET
    {"trce", kDetail},
    {"verbose", kDetail, As::kBrackets},
    {"fine", kDetail, As::kValue},
    {"finer", kDetail, As::kValue},
    {"finest", kDetail, As::kValue},
    {"silly", kDetail, As::kValue},
    {"config", 0, As::kValue},
    {"http", 0, As::kValue},
    {"note", 0, As::kBrackets},
    {"system", 0, As::kValue},
    {"success", 0, As::kValue},
    {"default", 0, As::kValue},
};
// Only as a level field's value: as words of a line they are too common.
constexpr Level kLetters[] = {{"t", kDetail}, {"v", kDetail}, {"d", kDetail}, {"i", 0}, {"n", 0},
                              {"w", 1},       {"e", 2},       {"c", 3},       {"f", 3}, {"a", 3}};
// What PostgreSQL writes before ":  " beside levels.
constexpr std::string_view kOfPostgres[] = {"LOG", "DETAIL", "HINT", "STATEMENT", "CONTEXT"};

// In lower case, without '.', '_', '-' and '@'.
constexpr std::string_view kLevelKeys[] = {"level",
                                           "lvl",
                                           "loglevel",
                                           "severity",
                                           "levelname",
                                           "priority",
                                           "s",
                                           "severitytext",
                                           "l",
                                           "levelno",
                                           "levelvalue",
                                           "severitynumber",
                                           "loglvl",
                                           "logseverity",
                                           "syslogseverity",
                                           "syslogseveritytext",
                                           "leveldisplayname",
                                           "syslogpriority"};
constexpr std::size_t kHeaderBytes = 200;  // that may stand before a level in lower case

const Level* among(std::span<const Level> levels, std::string_view name) {
  const auto found =
      std::find_if(levels.begin(), levels.end(), [&](const Level& level) { return level.name == name; });
  return found == levels.end() ? nullptr : &*found;
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
  if (number >= 100) return by_limits(number, 200, 300, 400, 500);                       // Monolog
  if (number >= 10) return by_limits(number, 30, 40, 50, 60);                            // pino, bunyan
  return number <= 7 ? std::optional(severity_of_syslog(number)) : std::nullopt;
}

/// E0302 08:07:42.5 (klog), E20260302 08:07:42.5 (glog), at the beginning or after what carries the line
/// (`Mar  2 08:00:00 host kubelet[12]: E0302 ...`).
std::optional<std::size_t> klog_letter(std::string_view line) {
  constexpr std::string_view kKlogLetters = "IWEFD";
  const auto begin = line.substr(0, kHeaderBytes);
  for (std::size_t i = 0; i < begin.size(); ++i) {
    if (kKlogLetters.find(line[i]) == std::string_view::npos || (i > 0 && !is_blank(line[i - 1]))) continue;
    const auto rest = line.substr(i);
    if (looks_like(rest, "a9999 99:99:99") || looks_like(rest, "a99999999 99:99:99")) return i;
  }
  return std::nullopt;
}

/// E/Tag( 12): or, after date, time, process and thread, E Tag:
std::optional<std::size_t> logcat_letter(std::string_view line) {
  if (looks_like(line, "a/a") && line.find("): ") < 64) return 0;
  const bool has_year = looks_like(line, "9999-99-99 99:99:99.999 ");
  if (!has_year && !looks_like(line, "99-99 99:99:99.999 ")) return std::nullopt;
  std::size_t at = has_year ? 23 : 18;
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

/// A word of a line.
struct Place {
  std::string_view line;
  std::size_t begin = 0, end = 0;

  std::string_view word() const { return line.substr(begin, end - begin); }
  char before() const { return begin == 0 ? ' ' : line[begin - 1]; }
  char after() const { return end == line.size() ? ' ' : line[end]; }
  std::string_view text_after() const { return line.substr(end); }
};

/// [error], [error   ], <error>, [core:error]
bool is_in_brackets(const Place& place) {
  if (place.before() == '<' && place.after() == '>') return true;
  const auto before = without_trailing_blanks(place.line.substr(0, place.begin));
  if (before.ends_with('[')) return without_leading_blanks(place.text_after()).starts_with(']');
  if (place.before() != ':' || place.after() != ']') return false;
  const auto open = before.find_last_of(" \t[]");
  return open != std::string_view::npos && before[open] == '[' && open + 2 < before.size();
}

/// "NO ERROR", "0 ERROR", "ERROR: 0", "FAILED 0"
bool is_count_of_zero(const Place& place) {
  const auto before = without_trailing_blanks(place.line.substr(0, place.begin));
  const auto last = before.substr(before.find_last_of(" \t[(,;:|") + 1);
  if (last == "NO" || last == "NOT" || last == "WITHOUT") return true;
  auto after = without_leading_blanks(place.text_after());
  if (last == "0" && (after.empty() || !is_alnum(after[0]))) return true;
  if (after.starts_with(':')) after = without_leading_blanks(after.substr(1));
  return after.starts_with('0') &&
         (after.size() == 1 || std::string_view(" ,;)]|").find(after[1]) != std::string_view::npos);
}

bool is_in_capitals(const Place& place) {
  if (!std::all_of(place.line.begin() + static_cast<std::ptrdiff_t>(place.begin),
                   place.line.begin() + static_cast<std::ptrdiff_t>(place.end), is_upper))
    return false;
  const bool counter =
      place.text_after().size() > 1 && place.after() == '[' && is_digit(place.text_after()[1]);
  return std::string_view(" \t[|(,;").find(place.before()) != std::string_view::npos &&
         (counter || std::string_view(" \t]|),;:!/").find(place.after()) != std::string_view::npos) &&
         !is_count_of_zero(place);
}

/// In any case, after the time that the line or, from `header` on, the text begins with.
bool is_after_time(const Place& place, std::size_t header) {
  if (place.begin < header) return false;
  const auto before = place.line.substr(header, place.begin - header);
  if (!only_time(before)) return false;
  if (place.after() == ':' || place.after() == '\t') return true;
  if (before.empty()) return place.after() == ',';
  return place.after() == ' ' && (is_digit(before[0]) || looks_like(before, "[9"));
}

/// main.c:12:3: warning: ...
bool is_after_colon(const Place& place) {
  return place.after() == ':' && place.begin > 2 && place.begin < kHeaderBytes && place.before() == ' ' &&
         place.line[place.begin - 2] == ':';
}

/// Whether the word is written like a level.
bool is_field(const Place& place, As as, std::size_t header) {
  if (as == As::kValue) return false;
  if (is_in_brackets(place) || (place.before() == '\t' && place.after() == '\t')) return true;
  if (as == As::kBrackets) return false;
  if (is_in_capitals(place)) return true;
  return as == As::kWord &&
         (is_after_time(place, 0) || is_after_time(place, header) || is_after_colon(place));
}

/// The first word of the line that is written like a level.
std::optional<WrittenLevel> level_among_words(std::string_view line, std::size_t header) {
  for (std::size_t i = 0; i < line.size();) {
    std::size_t end = i;
    while (end < line.size() && is_letter(line[end])) ++end;
    if (end == i) {
      ++i;
      continue;
    }
    const Place place{line, i, end};
    if (is_among(place.word(), kOfPostgres) && place.text_after().starts_with(":  ") && place.before() == ' ')
      return WrittenLevel{0, i};
    const Level* level = among(kLevels, ascii::lower(place.word()));
    if (level != nullptr && is_field(place, level->as, header)) return WrittenLevel{level->severity, i};
    i = end;
  }
  return std::nullopt;
}

/// INFO+2 (slog)
std::string_view without_offset(std::string_view value) {
  const auto sign = value.find_last_of("+-");
  const bool offset = sign != std::string_view::npos && sign > 0 && sign + 1 < value.size() &&
                      all_digits(value.substr(sign + 1));
  return offset ? value.substr(0, sign) : value;
}

}  // namespace

bool is_level_key(std::string_view key) {
  return is_among(plain_key(key), kLevelKeys);
}

bool is_weak_level_key(std::string_view key) {
  return key != "PRIORITY" && (key.size() == 1 || plain_key(key) == "priority");
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
  std::string name = ascii::lower(without_offset(value));
  if (const Level* level = among(kLevels, name)) return level->severity;
  if (name.starts_with("level(-")) return kDetail;                 // zap: a custom level below debug
  while (!name.empty() && is_digit(name.back())) name.pop_back();  // MongoDB: D1 to D5
  const Level* letter = among(kLetters, name);
  return letter == nullptr ? std::nullopt : std::optional(letter->severity);
}

std::optional<WrittenLevel> find_level(std::string_view line) {
  auto letter = klog_letter(line);
  if (!letter) letter = logcat_letter(line);
  if (letter) {
    if (const Level* level = among(kLetters, ascii::lower(line.substr(*letter, 1))))
      return WrittenLevel{level->severity, *letter};
  }
  const auto header = line.size() - after_header(line).size();
  const auto by_key = level_by_key(line);
  // What a program wrote before its first key=value counts more than a key.
  const auto pair = by_key ? next_pair(line, 0) : std::nullopt;
  const auto before = pair ? line.substr(0, pair->at) : by_key ? std::string_view() : line;
  if (const auto level = level_among_words(before, header)) return level;
  return by_key;
}

}  // namespace unroll::records
