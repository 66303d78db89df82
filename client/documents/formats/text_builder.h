// client/documents/formats/: readers of formats, for unroll-extract and its tests only. This header:
// assembles text from paragraphs, headings and lines, with sections and a map back to the source.
#pragma once

#include <cstdint>
#include <functional>
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
  /// What pdftotext prints of a PDF (pdf.h). Throws Unreadable. Empty: PDFs are refused.
  std::function<std::string(std::string_view pdf)> pdf_layout = {};
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
  /// Text of the current paragraph, at `offset` of the member's decoded text. White space becomes one space,
  /// a no-break space too if it stands beside white space or at an end of the paragraph. Unless layout is
  /// kept, soft hyphens and word joiners are removed and ligatures become letters.
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
  bool keeps_layout() const { return keep_layout_; }
  /// For people, once: what was dropped.
  void note(const std::string& note);

  /// The text, with a newline at its end. Drops Project Gutenberg's header and license, unless layout is
  /// kept.
  DocumentText finish(std::string format);

 private:
  void open_paragraph();
  void append(std::string_view utf8, std::uint64_t offset, std::uint64_t source_bytes);
  /// Part of a word, which `source_bytes` of the member's decoded text stand for.
  void word(std::string_view utf8, std::uint64_t offset, std::uint64_t source_bytes);
  void white_space(std::uint64_t offset);
  void drop_gutenberg(DocumentText& document) const;

  bool keep_layout_;
  std::string text_;
  TextMap map_;
  const Decoding* decoding_ = nullptr;
  bool in_paragraph_ = false;
  bool space_ = false;                     ///< White space was read and not yet written.
  std::optional<std::uint64_t> space_at_;  ///< Where, if it is in the source.
  /// Where a no-break space was read after a word, and not yet written.
  std::optional<std::uint64_t> hard_space_at_;
  std::vector<Section> waiting_;  ///< Sections that begin with the next text.
  bool in_heading_ = false;
  std::size_t heading_ = 0;  ///< Of map_.sections; valid after text in it.
  bool heading_begun_ = false;
  std::vector<std::string> notes_;
};

/// Text that is read within a paragraph and belongs after it: notes, text boxes.
class LaterText {
 public:
  void text(std::string_view utf8, std::uint64_t offset);
  void space() { text(" ", 0); }
  void end_paragraph();
  bool empty() const { return pieces_.empty(); }
  /// Appends it as paragraphs, and forgets it. With a title: as a section, if there is any.
  void write(TextBuilder& builder, std::string_view title = {});

 private:
  struct Piece {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    bool ends_paragraph = false;
  };
  std::string text_;
  std::vector<Piece> pieces_;
};

}  // namespace unroll::formats
