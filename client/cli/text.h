// client/: `unroll`, the command line. Reads one document at a time through a Reader (over the daemon's
// socket, or with an engine in this process) and formats the plugins' outputs as text, JSON or HTML. All
// formatting is done in client/, so that the output does not depend on the reader. This header: functions for
// readable text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace unroll {

/// One line that is safe to show on a terminal: runs of white space become one space; control characters and
/// bytes that are not UTF-8 become U+FFFD, so that a document cannot move the cursor.
std::string one_line(std::string_view text);

/// Columns that UTF-8 text takes, one per character. (Wide characters count as one; they can only shift
/// tables.)
std::size_t columns(std::string_view text);

/// The first `width` columns; the last is an ellipsis if the text was longer.
std::string cut(std::string_view text, std::size_t width);

/// Lines of at most `width` columns, broken at spaces, each with `indent` leading spaces and a newline.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent = 0);

/// 35149 -> "35,149".
std::string with_thousands(std::uint64_t number);

/// 35149 -> "34.3 KiB".
std::string readable_bytes(double bytes);

/// 75 -> "1:15", 3675 -> "1:01:15".
std::string readable_seconds(double seconds);

/// With `digits` decimals.
std::string fixed(double number, int digits);

/// Text aligned in a field of `width` columns; longer text is unchanged.
std::string left(std::string_view text, std::size_t width);
std::string right(std::string_view text, std::size_t width);

}  // namespace unroll
