#include "client/documents/gutenberg.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/ascii.h"

namespace unroll {
namespace {

constexpr std::size_t npos = std::string_view::npos;
constexpr std::size_t kMostHeaderBytes = std::size_t{32} << 10;  ///< Before 1997; some have it at the end.

bool starts_with_any_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::ranges::equal(text.substr(0, lower.size()), lower, {}, [](char c) { return ascii::lower(c); });
}

/// Whether `line` begins with "*** START OF THE PROJECT GUTENBERG EBOOK" and its like. `which`: in lower
/// case.
bool is_mark(std::string_view line, std::string_view which) {
  const std::size_t word = line.find_first_not_of("* ");
  if (word == npos || !line.starts_with("**")) return false;
  line.remove_prefix(word);
  if (!starts_with_any_case(line, which)) return false;
  line.remove_prefix(which.size());
  for (const std::string_view of : {" of the ", " of this ", " of "}) {
    if (!starts_with_any_case(line, of)) continue;
    return starts_with_any_case(line.substr(of.size()), "project gutenberg");
  }
  return false;
}

/// The end of the header before 1997: "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*".
bool is_small_print(std::string_view line) {
  return line.starts_with("*END") && line.find("THE SMALL PRINT!") != npos;
}

/// The last line of the book before the mark: "End of the Project Gutenberg EBook of Emma, by Jane Austen".
bool is_farewell(std::string_view line) {
  for (const std::string_view begin : {"end of the project gutenberg e", "end of project gutenberg",
                                       "end of this project gutenberg e", "end of this etext"}) {
    if (starts_with_any_case(line, begin)) return true;
  }
  return false;
}

bool is_about_transcription(std::string_view line) {
  for (const std::string_view begin :
       {"produced by ", "e-text prepared by ", "etext prepared by ", "this etext was ", "this e-text was ",
        "this ebook was produced by ", "transcribed from ", "text file produced by "}) {
    if (starts_with_any_case(line, begin)) return true;
  }
  return false;
}

/// Calls visit(begin of line, line) until it returns true.
template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (visit(at, text.substr(at, end - at))) return;
    at = end + 1;
  }
}

std::size_t after_blank_lines(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(" \t\r\n", at), text.size());
}

/// The end of the mark that begins at `at`; a long title continues on the next line.
std::size_t end_of_mark(std::string_view text, std::size_t at) {
  constexpr std::size_t kMostMarkBytes = 500;
  const std::size_t line = std::min(text.find_first_of("\r\n", at), text.size());
  const std::size_t stars = text.find("***", text.find_first_not_of("* ", at));
  const std::size_t blank = std::min(text.find("\n\n", at), text.find("\n\r", at));
  if (stars == npos || stars > std::min(blank, at + kMostMarkBytes)) return line;
  return std::min(text.find_first_of("\r\n", stars), text.size());
}

std::optional<std::size_t> begin_of_book(std::string_view text) {
  std::optional<std::size_t> begin;
  for_each_line(text, [&](std::size_t at, std::string_view line) {
    if (is_mark(line, "start")) {
      begin = end_of_mark(text, at);
      return true;
    }
    if (at < kMostHeaderBytes && is_small_print(line)) begin = at + line.size();
    return false;
  });
  return begin;
}

}  // namespace

bool has_gutenberg_marks(std::string_view text) {
  return begin_of_book(text).has_value();
}

GutenbergBook find_gutenberg_book(std::string_view text) {
  GutenbergBook book{0, text.size()};
  const auto begin = begin_of_book(text);
  std::optional<std::size_t> farewell;
  for_each_line(text, [&](std::size_t at, std::string_view line) {
    if (is_farewell(line)) farewell = at;
    if (!is_mark(line, "end")) return false;
    book.end = at;
    return true;
  });
  constexpr std::size_t kNear = 1000;
  const bool ended = book.end < text.size();
  if (!begin && !ended) return book;
  // In a mark's place, or just before it.
  if (farewell && (ended ? *farewell + kNear > book.end : *farewell > *begin)) book.end = *farewell;
  if (!begin || *begin > book.end) return book;
  book.begin = after_blank_lines(text, *begin);
  const std::string_view rest = text.substr(book.begin);
  if (is_about_transcription(rest)) {
    const std::size_t paragraph = std::min(rest.find("\n\n"), rest.size());
    if (book.begin + paragraph < book.end) book.begin = after_blank_lines(text, book.begin + paragraph);
  }
  book.begin = std::min(book.begin, book.end);
  return book;
}

}  // namespace unroll
