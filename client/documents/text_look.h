// What the bytes of a plain text tell: binary noise, encoding, line ends, and whether prose was wrapped to a
// width.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace unroll {

enum class LineEnds { kLf, kCrLf, kCr };

struct TextLook {
  std::string noise;  ///< If it is not text: what it seems to be, for people.
  /// From a byte order mark, or because every second byte is NUL: "UTF-8", "UTF-16LE", ...
  std::string unicode;
  std::size_t mark_bytes = 0;       ///< Of the byte order mark.
  bool utf8 = true;                 ///< Valid UTF-8, but for a few damaged bytes.
  std::size_t utf8_characters = 0;  ///< Of several bytes; 0 if any is damaged.
  LineEnds line_ends = LineEnds::kLf;
  bool paragraphs = false;  ///< Blank lines are frequent, as in prose; a log has none or few.
};

/// `text` may end within a character.
TextLook look_at_text(std::string_view text);

/// The columns to which the lines of prose in UTF-8 were wrapped. Nullopt if the line ends may mean
/// something: verse, logs, tables, source code, paragraphs on one line each. docs/documents.md has the rule.
std::optional<std::size_t> wrapped_width(std::string_view text);

/// Columns of a text on one line; wide characters (East Asian) take two.
std::size_t text_columns(std::string_view line);

/// Whether a line of `before`, followed by one that begins with `after`, was full: the first word of `after`
/// would not have fitted in `width` columns.
bool was_full(std::string_view before, std::string_view after, std::size_t width);

/// A line without white space at its end.
std::string_view without_trailing_space(std::string_view line);
std::size_t indentation(std::string_view line);

}  // namespace unroll
