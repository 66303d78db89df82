// TEI (Text Encoding Initiative): prose, verse and drama; notes as a section at the end. The header, page
// breaks, running heads, the marks of notes and the wrong or original forms beside corrected ones are not
// read.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "client/documents/formats/markup.h"

namespace unroll::formats {
namespace {

/// What may be the mark of a note, as "[1]" or "*": the text of a reference within the document. A number
/// alone is one if it is raised; otherwise it may be that of a page.
class NoteMark {
 public:
  void raise(const Attributes& attributes) { raised_ = raised_ || attributes.get("rend").starts_with("sup"); }
  void add(std::string_view utf8, std::uint64_t offset) {
    text_ += utf8;
    pieces_.emplace_back(utf8, offset);
  }
  bool is_one() const {
    const auto number = text_.find_first_of("0123456789");
    if (text_.empty() || text_.size() > kMostBytes) return false;
    if (number == std::string::npos) return text_.find_first_not_of("*[]()") == std::string::npos;
    const bool in_brackets = text_.front() == '[' || text_.front() == '(';
    return (in_brackets || raised_) && text_.find_first_not_of("[]()0123456789 ") == std::string::npos;
  }
  void give_back(TextBuilder& builder) const {
    for (const auto& [text, offset] : pieces_) builder.text(text, offset);
  }

 private:
  static constexpr std::size_t kMostBytes = 8;
  bool raised_ = false;
  std::string text_;
  std::vector<std::pair<std::string, std::uint64_t>> pieces_;
};

class TeiReader : public MarkupHandler {
 public:
  explicit TeiReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (skipped_ > 0 || is_skipped(name)) {
      ++skipped_;
      return;
    }
    if (mark_ && name == "hi") return mark_->raise(attributes);
    end_mark(false);
    if (name == "text") ++texts_;
    if (name == "choice") ++choices_;
    if (name == "note") ++notes_;
    if (notes_ > 0) return;
    if (name == "ref" && attributes.get("target").starts_with('#') && !builder_.keeps_layout())
      mark_.emplace().raise(attributes);
    if (name == "div" || is_numbered_division(name)) ++depth_;
    if (name == "head") {
      builder_.begin_heading(std::max(1, depth_));
    } else if (name == "lb") {
      // A word goes on: break="no".
      if (attributes.get("break") != "no") builder_.space();
    } else if (name == "cell") {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    } else {
      ends(name);
    }
    if (name == "row") first_cell_ = true;
  }

  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (mark_ && name == "hi") return;
    end_mark(name == "ref");
    if (name == "text") --texts_;
    if (name == "choice") --choices_;
    if (notes_ > 0) {
      if (name == "note" || name == "p") note_text_.end_paragraph();
      if (name == "note") --notes_;
      return;
    }
    if (name == "div" || is_numbered_division(name)) --depth_;
    if (name == "head")
      builder_.end_heading();
    else if (name == "speaker")
      builder_.line_break();
    else
      ends(name);
  }

  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ > 0 || texts_ == 0) return;
    if (notes_ > 0)
      note_text_.text(utf8, offset);
    else if (mark_)
      mark_->add(utf8, offset);
    else
      builder_.text(utf8, offset);
  }

  void finish() { note_text_.write(builder_, "Notes"); }

 private:
  bool is_skipped(std::string_view name) const {
    if (name == "fw") return !builder_.keeps_layout();
    if (name == "sic" || name == "orig" || name == "abbr") return choices_ > 0;
    return name == "teiHeader" || name == "facsimile" || name == "figDesc" || name == "del";
  }
  static bool is_numbered_division(std::string_view name) {
    return name.size() == 4 && name.starts_with("div") && name[3] >= '0' && name[3] <= '7';
  }
  void ends(std::string_view name) {
    constexpr std::array<std::string_view, 26> kParagraphs = {
        "p",      "ab",       "lg",      "sp",        "stage",    "div",      "front",    "body",    "back",
        "list",   "item",     "label",   "table",     "quote",    "epigraph", "opener",   "closer",  "salute",
        "signed", "dateline", "trailer", "titlePage", "docTitle", "byline",   "castItem", "argument"};
    if (name == "l" || name == "row")
      builder_.line_break();
    else if (std::ranges::find(kParagraphs, name) != kParagraphs.end() || is_numbered_division(name))
      builder_.end_paragraph();
  }

  void end_mark(bool whole) {
    if (mark_ && !(whole && mark_->is_one())) mark_->give_back(builder_);
    mark_.reset();
  }

  TextBuilder& builder_;
  LaterText note_text_;
  std::optional<NoteMark> mark_;
  int skipped_ = 0, texts_ = 0, choices_ = 0, notes_ = 0, depth_ = 0;
  bool first_cell_ = true;
};

}  // namespace

void read_tei(const Decoding& decoding, TextBuilder& builder) {
  TeiReader reader(builder);
  parse_xml(decoding.text, reader);
  builder.end_heading();
  reader.finish();
}

}  // namespace unroll::formats
