// OpenDocument text: headings, paragraphs, lists, tables; text boxes after the paragraph that they stand in,
// notes as a section at the end. Tracked changes and comments are not read.
#include <algorithm>
#include <array>

#include "client/documents/formats/markup.h"

namespace unroll::formats {
namespace {

class OpenDocumentReader : public MarkupHandler {
 public:
  explicit OpenDocumentReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (skipped_ > 0 || is_skipped(name)) {
      ++skipped_;
      return;
    }
    if (name == "frame") ++frames_;
    if (name == "note") ++notes_;
    if (name == "text-box") ++boxes_;
    if (name == "h" || name == "p") ++paragraphs_;
    if (notes_ > 0 || boxes_ > 0) {
      if (name == "s" || name == "tab" || name == "line-break") later().space();
      return;
    }
    if (name == "h") {
      const std::string_view level = attributes.get("outline-level");
      builder_.begin_heading(level.size() == 1 && level[0] >= '1' && level[0] <= '9' ? level[0] - '0' : 1);
    } else if (name == "p") {
      if (tables_ == 0) builder_.end_paragraph();
    } else if (name == "table") {
      if (tables_++ == 0) builder_.end_paragraph();
    } else if (name == "table-row") {
      first_cell_ = true;
    } else if (name == "table-cell") {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    } else if (name == "s" || name == "tab") {
      builder_.space();
    } else if (name == "line-break") {
      builder_.line_break();
    }
  }

  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (name == "h" || name == "p") --paragraphs_;
    if (name == "frame") --frames_;
    if (notes_ > 0 || boxes_ > 0) {
      if (name == "h" || name == "p" || name == "table-cell") later().end_paragraph();
      if (name == "note") --notes_;
      if (name == "text-box") --boxes_;
      return;
    }
    if (name == "h") builder_.end_heading();
    if (name == "p" && tables_ == 0) builder_.end_paragraph();
    if (name == "p" && tables_ > 0) builder_.space();
    if (name == "table-row") builder_.line_break();
    if (name == "table" && tables_ > 0 && --tables_ == 0) builder_.end_paragraph();
    if (tables_ == 0 && paragraphs_ == 0) box_text_.write(builder_);
  }

  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ > 0 || paragraphs_ == 0) return;
    if (notes_ > 0 || boxes_ > 0)
      later().text(utf8, offset);
    else
      builder_.text(utf8, offset);
  }

  void finish() {
    box_text_.write(builder_);
    note_text_.write(builder_, "Notes");
  }

 private:
  bool is_skipped(std::string_view name) const {
    constexpr std::array<std::string_view, 13> kNotRead = {
        "tracked-changes", "annotation",    "automatic-styles",
        "styles",          "master-styles", "meta",
        "settings",        "scripts",       "object",
        "font-face-decls", "binary-data",   "note-citation",
        "ruby-text"};
    if (std::ranges::find(kNotRead, name) != kNotRead.end()) return true;
    if (name == "table-of-content") return !builder_.keeps_layout();
    return frames_ > 0 && (name == "title" || name == "desc");  // of an image
  }
  LaterText& later() { return notes_ > 0 ? note_text_ : box_text_; }

  TextBuilder& builder_;
  LaterText note_text_, box_text_;
  int skipped_ = 0, tables_ = 0, frames_ = 0, notes_ = 0, boxes_ = 0;
  int paragraphs_ = 0;  ///< Paragraphs and headings, one in another.
  bool first_cell_ = true;
};

}  // namespace

void read_opendocument(const Decoding& decoding, TextBuilder& builder) {
  OpenDocumentReader reader(builder);
  parse_xml(decoding.text, reader);
  builder.end_heading();
  reader.finish();
}

}  // namespace unroll::formats
