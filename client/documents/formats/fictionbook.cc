// FictionBook 2: sections with titles, paragraphs, verses; notes in a body of their own.
#include <algorithm>
#include <array>

#include "client/documents/formats/markup.h"

namespace unroll::formats {
namespace {

class FictionBookReader : public MarkupHandler {
 public:
  explicit FictionBookReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    const bool note_mark = name == "a" && attributes.get("type") == "note" && !builder_.keeps_layout();
    if (skipped_ > 0 || note_mark || name == "binary" || name == "description" || name == "stylesheet") {
      ++skipped_;
      return;
    }
    if (name == "section") ++depth_;
    if (name == "body" && attributes.get("name") == "notes") builder_.section("Notes", 1);
    if (name == "title") builder_.begin_heading(std::max(1, depth_));
    in_title_ = in_title_ || name == "title";
    if (name == "tr") first_cell_ = true;
    if (name == "td" || name == "th") {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    }
    ends(name);
  }
  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (name == "section") --depth_;
    if (name == "title") {
      builder_.end_heading();
      in_title_ = false;
    }
    ends(name);
  }
  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ == 0) builder_.text(utf8, offset);
  }

 private:
  void ends(std::string_view name) {
    constexpr std::array<std::string_view, 11> kParagraphs = {
        "section",  "epigraph",   "poem",       "stanza",      "cite", "table",
        "subtitle", "annotation", "empty-line", "text-author", "p"};
    if (name == "v" || name == "tr" || (name == "p" && in_title_))
      builder_.line_break();
    else if (std::ranges::find(kParagraphs, name) != kParagraphs.end())
      builder_.end_paragraph();
  }

  TextBuilder& builder_;
  int skipped_ = 0, depth_ = 0;
  bool in_title_ = false, first_cell_ = true;
};

}  // namespace

void read_fictionbook(const Decoding& decoding, TextBuilder& builder) {
  FictionBookReader reader(builder);
  parse_xml(decoding.text, reader);
}

}  // namespace unroll::formats
