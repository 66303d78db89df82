// The severity of a log line: from the level that its program wrote (FATAL, WARN, [error]), else from its
// words.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/builtin/sentence_text.h"

namespace unroll::builtin {

/// 0: routine or unknown, 1: warning, 2: error, 3: fatal.
inline constexpr int kWorstSeverity = 3;

namespace severity {

inline constexpr std::array<std::string_view, 5> kRoutineLevels = {"INFO", "INFORMATION", "NOTICE", "DEBUG",
                                                                   "TRACE"};
inline constexpr std::array<std::string_view, 2> kWarningLevels = {"WARN", "WARNING"};
inline constexpr std::array<std::string_view, 4> kErrorLevels = {"ERROR", "ERR", "FAILURE", "FAILED"};
inline constexpr std::array<std::string_view, 8> kFatalLevels = {"FATAL", "SEVERE",    "CRITICAL", "CRIT",
                                                                 "EMERG", "EMERGENCY", "ALERT",    "PANIC"};
// Prefixes of words, case-insensitive.
inline constexpr std::array<std::string_view, 1> kWarningWords = {"warn"};
inline constexpr std::array<std::string_view, 25> kErrorWords = {
    "error",      "fail",   "exception", "denied",      "refused",       "invalid",       "corrupt",
    "abort",      "unable", "cannot",    "timeout",     "unreachable",   "lost",          "illegal",
    "violation",  "crash",  "missing",   "killed",      "unrecoverable", "uncorrectable", "overflow",
    "unexpected", "reject", "dropped",   "unauthorized"};
inline constexpr std::array<std::string_view, 4> kFatalWords = {"fatal", "panic", "critical", "emergency"};

inline std::optional<int> of_level(std::string_view upper) {
  const auto among = [&](const auto& names) {
    return std::find(names.begin(), names.end(), upper) != names.end();
  };
  if (among(kFatalLevels)) return 3;
  if (among(kErrorLevels)) return 2;
  if (among(kWarningLevels)) return 1;
  if (among(kRoutineLevels)) return 0;
  return std::nullopt;
}

inline int of_word(std::string_view lower) {
  const auto begins = [&](const auto& stems) {
    return std::any_of(stems.begin(), stems.end(), [&](auto stem) { return lower.starts_with(stem); });
  };
  if (begins(kFatalWords)) return 3;
  if (begins(kErrorWords)) return 2;
  return begins(kWarningWords) ? 1 : 0;
}

/// Whether a word between these two characters is written like a level: a field of capitals, or in brackets.
inline bool is_field(std::string_view word, char before, char after) {
  if ((before == '[' && after == ']') || (before == '<' && after == '>')) return true;
  return std::all_of(word.begin(), word.end(), is_upper) &&
         std::string_view(" \t[|(").find(before) != std::string_view::npos &&
         std::string_view(" \t]|),:").find(after) != std::string_view::npos;
}

}  // namespace severity

inline int line_severity(std::string_view line) {
  int worst = 0;
  for (std::size_t i = 0; i < line.size();) {
    std::size_t end = i;
    while (end < line.size() && is_ascii_letter(line[end])) ++end;
    if (end == i) {
      ++i;
      continue;
    }
    const auto word = line.substr(i, end - i);
    std::string upper(word), lower(word);
    for (char& c : upper) c = is_upper(c) ? c : static_cast<char>(c - 'a' + 'A');
    for (char& c : lower) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
    const char before = i == 0 ? ' ' : line[i - 1], after = end == line.size() ? ' ' : line[end];
    // The level takes precedence over words: "INFO ... parity error corrected".
    if (const auto level = severity::of_level(upper); level && severity::is_field(word, before, after))
      return *level;
    worst = std::max(worst, severity::of_word(lower));
    i = end;
  }
  return worst;
}

}  // namespace unroll::builtin
