// The severity of a log record: from the level that its program wrote, else from its words.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace unroll::records {

/// 0: routine or unknown, 1: warning, 2: error, 3: fatal.
inline constexpr int kWorstSeverity = 3;
/// What the functions for levels give for debug and trace; RecordFacts::detail.
inline constexpr int kDetail = -1;

/// A level that a program wrote, and where in the text.
struct WrittenLevel {
  int severity = 0;
  std::size_t at = 0;
};

/// The severity of a level's name in any case ("WARN", "err"), or of its number or letter. `key`: the name of
/// the field that holds it, which decides what numbers mean (pino and bunyan: 50 is an error; syslog: 3 is).
std::optional<int> severity_of_level(std::string_view key, std::string_view value);
/// Whether a field with this name holds a level.
bool is_level_key(std::string_view key);
/// Whether such a name is also given to other things: a letter, or a priority.
bool is_weak_level_key(std::string_view key);
/// RFC 5424: 0 is an emergency, 7 a debug message.
int severity_of_syslog(int number);

/// The level in a line of text: a field of capitals (FATAL), a word in brackets ([error]), a word after the
/// time or the header (`12:00 error: `), the letter of klog or logcat, a field (level=error).
std::optional<WrittenLevel> find_level(std::string_view line);

/// From words such as "failed" and "panic", in English. Words in names, options and keys, negated words and
/// counts of zero do not count.
int severity_of_words(std::string_view line);

}  // namespace unroll::records
