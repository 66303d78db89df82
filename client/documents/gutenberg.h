// The lines that Project Gutenberg puts around a book, in the forms of 1990 to today.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll {

/// Whether `text`, the first bytes of a document with any line ends, has the line before the book.
bool has_gutenberg_marks(std::string_view text);

/// Bytes [begin, end) of the text are the book.
struct GutenbergBook {
  std::size_t begin = 0, end = 0;
};
/// Without header, license and the paragraph about who transcribed it. The whole of a text without the lines.
GutenbergBook find_gutenberg_book(std::string_view text);

}  // namespace unroll
