// Reads the formats in which programs and the systems that carry their logs write lines: CRI and docker's
// JSON, syslog, journald's JSON, JSON of the usual logging libraries, logfmt, klog.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/builtin/records/levels.h"

namespace unroll::records {

/// Bytes of a record that are looked at for its level, shape and text; the client does not read more of a
/// line, either.
inline constexpr std::size_t kMostRecordBytes = 16 * 1024;

/// Of a container. Their lines may come in turns.
enum class Stream : std::uint8_t { kStdout, kStderr };

/// A line without what its carrier wrote around it.
struct Carried {
  std::string text;        ///< What the program wrote, without colours that were spelt (#033[31m).
  bool continues = false;  ///< The next line of the same stream continues the text.
  Stream stream = Stream::kStdout;
  std::optional<int> level;  ///< Syslog's, as a severity.
  std::string time;          ///< The carrier's; may be empty.
};
Carried carried_text(std::string_view line);
/// Of the lines of a record that its carrier split: the text of the last line's stream, joined.
Carried carried_record(std::string_view lines);

/// What the text says of itself.
struct RecordFacts {
  int severity = 0;                               ///< By its level, else by its words.
  bool has_level = false;                         ///< The program wrote a level.
  bool detail = false;                            ///< It is debug, trace or the like.
  std::size_t level_at = std::string_view::npos;  ///< Where in the text; npos if unknown.
};
/// `carrier_level`: Carried::level; counts if the text has none.
RecordFacts record_facts(std::string_view text, std::optional<int> carrier_level = std::nullopt);

/// The time that a text states at its beginning (ISO 8601, syslog's, a web server's, klog's, seconds since
/// 1970) or in JSON, as written; empty if there is none.
std::string record_time(std::string_view text);

/// The part of a text after syslog's or journald's header (`Mar  2 08:00:00 host java[12]: `), a source
/// (`web-1  | `) and a time that a collector wrote before the line, to recognize traces and levels.
std::string_view after_header(std::string_view text);

}  // namespace unroll::records
