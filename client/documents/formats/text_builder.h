// client/documents/formats/: readers of formats, for unroll-extract and its tests only. This header:
// assembles text from paragraphs, headings and lines, with sections and a map back to the source.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "client/documents/document_text.h"
#include "client/documents/formats/decoding.h"

namespace unroll::formats {

/// The document cannot be read: what() goes after its name and says what to do.
class Unreadable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  bool keep_layout = false;  ///< Keep lines, hyphens, page furniture and boilerplate.
  bool unwrap = false;       ///< Join lines of plain text also if they do not look wrapped.
  std::string encoding;      ///< Of text; empty: declared or guessed.
};

/// Paragraphs are separated by a blank line. White space within a paragraph is one space. Throws Unreadable
/// if the text is longer than kMostTextBytes.
class TextBuilder {
 public:
  explicit TextBuilder(bool keep_layout) : keep_layout_(keep_layout) {}

  /// The following text comes from this member. `decoding`: of offsets into its decoded text to those of its
  /// bytes; must live as long as text comes from it. Null: offsets are not known.
  void begin_member(std::string name, const Decoding* decoding);
  /// A section that begins with the next text.
  void section(std::string title, int level);
  /// The text until end_heading() is a paragraph and the title of a section.
  void begin_heading(int level);
  void end_heading();
  /// Text of the current paragraph, at `offset` of the member's decoded text.
  void text(std::string_view utf8, std::uint64_t offset);
  /// The same, with all its white space and line ends.
  void verbatim(std::string_view utf8, std::uint64_t offset);
  /// Text that is not in the source, such as a separator.
  void insert(std::string_view utf8);
  void space();
  void line_break();
  void end_paragraph();
  /// Whether the last text was a whole paragraph.
  bool between_paragraphs() const { return !in_paragraph_; }
  std::uint64_t size() const { return text_.size(); }

  /// The text, with a newline at its end. Drops Project Gutenberg's header and license, unless layout is
  /// kept.
  DocumentText finish(std::string format);

 private:
  void open_paragraph();
  void append(std::string_view utf8, std::uint64_t offset);
  void drop_gutenberg(DocumentText& document) const;

  bool keep_layout_;
  std::string text_;
  TextMap map_;
  const Decoding* decoding_ = nullptr;
  bool in_paragraph_ = false;
  bool space_ = false;                     ///< White space was read and not yet written.
  std::optional<std::uint64_t> space_at_;  ///< Where, if it is in the source.
  std::vector<Section> waiting_;           ///< Sections that begin with the next text.
  bool in_heading_ = false;
  std::size_t heading_ = 0;  ///< Of map_.sections; valid after text in it.
  bool heading_begun_ = false;
};

}  // namespace unroll::formats
