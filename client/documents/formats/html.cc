// HTML: pages and the chapters of EPUBs.
#include <algorithm>
#include <array>

#include <unicode/uchar.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "client/documents/formats/markup.h"

namespace unroll::formats {
namespace {

template <std::size_t size>
bool is_one_of(std::string_view name, const std::array<std::string_view, size>& names) {
  return std::ranges::find(names, name) != names.end();
}

constexpr std::array<std::string_view, 43> kBlocks = {
    "p",        "div",        "section",  "article", "header",  "footer",     "main",   "aside",
    "address",  "blockquote", "ul",       "ol",      "li",      "dl",         "dt",     "dd",
    "table",    "caption",    "thead",    "tbody",   "figure",  "figcaption", "form",   "fieldset",
    "hr",       "body",       "center",   "details", "summary", "dialog",     "menu",   "dir",
    "legend",   "hgroup",     "listing",  "xmp",     "tfoot",   "colgroup",   "search", "template",
    "frameset", "noframes",   "plaintext"};
/// Their content is no text of the document.
constexpr std::array<std::string_view, 24> kSkipped = {
    "script", "style",  "head",     "template",   "noscript",       "svg",      "object", "embed",
    "iframe", "audio",  "video",    "canvas",     "select",         "textarea", "button", "nav",
    "map",    "applet", "datalist", "annotation", "annotation-xml", "rt",       "rp",     "rtc"};
/// Types of EPUB and roles of DPUB-ARIA: marks that refer to a note and back, and pages about the edition.
constexpr std::array<std::string_view, 4> kNoteMarks = {"noteref", "doc-noteref", "backlink", "doc-backlink"};
constexpr std::array<std::string_view, 5> kAboutEdition = {"imprint", "colophon", "copyright-page",
                                                           "doc-colophon", "doc-imprint"};
/// A cell of more bytes is prose, in a page that is laid out by a table.
constexpr std::uint64_t kLongestCell = 200;

constexpr bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

/// Whether one of the words of an attribute is one of `names`.
template <std::size_t size>
bool has_one_of(std::string_view words, const std::array<std::string_view, size>& names) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find_first_of(" \t\r\n"), words.size());
    if (is_one_of(words.substr(0, end), names)) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

bool is_invisible(std::string_view style) {
  std::string text;
  for (const char c : style) {
    if (!ascii::is_space(c)) text += ascii::lower(c);
  }
  return contains(text, "display:none");
}

/// Of an image: the initial of a chapter.
bool is_letter(std::string_view text) {
  const Utf8 first = next_utf8(text);
  return !text.empty() && first.valid && first.bytes == text.size() &&
         ::u_isalpha(static_cast<UChar32>(first.code)) != 0;
}

class HtmlReader : public MarkupHandler {
 public:
  explicit HtmlReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (skipped_ > 0 || is_skipped(name, attributes)) {
      ++skipped_;
      return;
    }
    const bool second_break = name == "br" && after_break_;
    after_break_ = false;
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      builder_.begin_heading(name[1] - '0');
    } else if (name == "br" && second_break) {
      end_block("p");
    } else if (name == "br") {
      builder_.line_break();
      after_break_ = true;
    } else if (name == "img") {
      if (is_letter(attributes.get("alt"))) builder_.insert(attributes.get("alt"));
    } else if (name == "tr") {
      builder_.line_break();
      first_cell_ = true;
    } else if (name == "td" || name == "th") {
      begin_cell();
    } else if (name == "pre") {
      builder_.end_paragraph();
      ++pre_;
    } else if (is_one_of(name, kBlocks)) {
      end_block(name);
    }
    if (name == "table") ++tables_;
  }

  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (name != "br") after_break_ = false;
    if (name == "table" && tables_ > 0) --tables_;
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      builder_.end_heading();
    } else if (name == "pre") {
      if (pre_ > 0) --pre_;
      builder_.end_paragraph();
    } else if (name == "tr") {
      builder_.line_break();
    } else if (is_one_of(name, kBlocks)) {
      end_block(name);
    }
  }

  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ > 0) return;
    after_break_ = after_break_ && ascii::is_blank(utf8);
    if (pre_ > 0)
      builder_.verbatim(utf8, offset);
    else
      builder_.text(utf8, offset);
  }

 private:
  /// Paragraphs in a cell do not end its row, unless it is prose.
  void end_block(std::string_view name) {
    const bool in_cell = tables_ > 0 && name != "table" && name != "caption";
    if (!in_cell || builder_.size() > cell_begin_ + kLongestCell)
      builder_.end_paragraph();
    else if (builder_.size() > cell_begin_)
      builder_.space();
  }

  void begin_cell() {
    if (!first_cell_ && !builder_.between_paragraphs()) builder_.insert("\t");
    first_cell_ = false;
    cell_begin_ = builder_.size();
  }

  bool is_skipped(std::string_view name, const Attributes& attributes) const {
    if (is_one_of(name, kSkipped)) return true;
    if (attributes.has("hidden") || is_invisible(attributes.get("style"))) return true;
    if (builder_.keeps_layout()) return false;
    const std::string_view cls = attributes.get("class"), type = attributes.get("type"),
                           role = attributes.get("role");
    if (has_one_of(type, kAboutEdition) || has_one_of(role, kAboutEdition)) {
      builder_.note("dropped pages about the edition (imprint, colophon)");
      return true;
    }
    return has_one_of(type, kNoteMarks) || has_one_of(role, kNoteMarks) || contains(cls, "fnanchor") ||
           (name == "sup" && contains(cls, "reference")) || contains(cls, "pagenum") ||
           contains(cls, "pageno") || contains(cls, "pg-boilerplate") || contains(cls, "mw-editsection") ||
           contains(type, "pagebreak") || contains(role, "doc-pagebreak") || role == "navigation";
  }

  TextBuilder& builder_;
  int skipped_ = 0, pre_ = 0, tables_ = 0;
  bool first_cell_ = true, after_break_ = false;
  std::uint64_t cell_begin_ = 0;
};

}  // namespace

void read_html(const Decoding& decoding, TextBuilder& builder) {
  HtmlReader reader(builder);
  parse_html(decoding.text, reader);
  builder.end_heading();
  builder.end_paragraph();
}

}  // namespace unroll::formats
