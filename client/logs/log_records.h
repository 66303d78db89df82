// The records of a log file: decoded, as a terminal shows them, without what carries them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/sources/source.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/times.h"
#include "plugins/builtin/records/traces.h"

namespace unroll {

/// A line, or the lines that its carrier split it into.
struct LogRecord {
  std::string text;
  std::string time;  ///< As written; empty if none was found.
  std::uint64_t line = 0, lines = 0;
  std::uint64_t start = 0, end = 0;  ///< In the log's bytes.
  records::RecordFacts facts;
  records::LinePlace place = records::LinePlace::kRecord;
  std::uint64_t record = 0;  ///< The line at which the record begins that this line continues; or its own.
};

/// "error by its level": why a record has its severity, for people.
std::string severity_reason(const records::RecordFacts& facts);

/// Calls `take` for each, in order. `encoding`: as of LogText. `times`: the form of the lines' times; empty:
/// the usual forms. Returns what to tell the user, or an empty text. Throws CommandError.
std::string read_records(Source source, const std::string& encoding, const records::TimeFormat& times,
                         const std::function<void(const LogRecord&)>& take);

/// What to tell the user if no line of the first 256 KiB of the file `log` has a time of the form `times`; or
/// an empty text, as for what can be read only once. Throws CommandError.
std::string about_times(const std::string& log, const std::string& encoding,
                        const records::TimeFormat& times);

}  // namespace unroll
