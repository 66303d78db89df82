// client/: `unroll`, the command line. Reads one document at a time through a Reader (over the daemon's
// socket, or with an engine in this process) and turns the plugins' outputs into text, JSON or a page. All
// formatting is done here, so that the same bytes come out whoever did the reading. This header: text for
// people, without a terminal in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace unroll {

/// One line that is safe to show on a terminal: runs of white space become one space, control characters and
/// bytes that are not UTF-8 become U+FFFD. A document must not be able to move the reader's cursor.
std::string one_line(std::string_view text);

/// Columns that UTF-8 text takes, one a character. (Wide characters count as one: the tables may shift,
/// nothing else.)
std::size_t columns(std::string_view text);

/// The first `width` columns, the last of them an ellipsis where something was cut off.
std::string cut(std::string_view text, std::size_t width);

/// Lines of at most `width` columns, broken at spaces, each behind `indent` spaces and ended by a newline.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent = 0);

/// 35149 -> "35,149".
std::string with_thousands(std::uint64_t number);

/// 35149 -> "34.3 KiB".
std::string readable_bytes(double bytes);

/// 75 -> "1:15", 3675 -> "1:01:15".
std::string readable_seconds(double seconds);

/// With `digits` digits behind the point.
std::string fixed(double number, int digits);

/// Text aligned in a field of `width` columns; what is longer stays as it is.
std::string left(std::string_view text, std::size_t width);
std::string right(std::string_view text, std::size_t width);

}  // namespace unroll
