#include <algorithm>
#include <array>

#include "client/documents/formats/markup.h"
#include "client/documents/text_look.h"

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
constexpr std::array<std::string_view, 22> kSkipped = {
    "script", "style",  "head",     "template",   "noscript",       "svg",      "object", "embed",
    "iframe", "audio",  "video",    "canvas",     "select",         "textarea", "button", "nav",
    "map",    "applet", "datalist", "annotation", "annotation-xml", "rt"};

constexpr bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

class HtmlReader : public MarkupHandler {
 public:
  HtmlReader(const Options& options, TextBuilder& builder) : options_(options), builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (skipped_ > 0 || is_skipped(name, attributes)) {
      ++skipped_;
      return;
    }
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      builder_.begin_heading(name[1] - '0');
    } else if (name == "br") {
      builder_.line_break();
    } else if (name == "tr") {
      builder_.line_break();
      first_cell_ = true;
    } else if (name == "td" || name == "th") {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    } else if (name == "pre") {
      builder_.end_paragraph();
      ++pre_;
    } else if (is_one_of(name, kBlocks)) {
      if (!in_cell(name)) builder_.end_paragraph();
    }
    if (name == "table") ++tables_;
  }

  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (name == "table" && tables_ > 0) --tables_;
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      builder_.end_heading();
    } else if (name == "pre") {
      if (pre_ > 0) --pre_;
      builder_.end_paragraph();
    } else if (name == "tr") {
      builder_.line_break();
    } else if (is_one_of(name, kBlocks) && !in_cell(name)) {
      builder_.end_paragraph();
    }
  }

  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ > 0) return;
    if (pre_ > 0)
      builder_.verbatim(utf8, offset);
    else
      builder_.text(utf8, offset);
  }

 private:
  /// Paragraphs in a cell do not end its row.
  bool in_cell(std::string_view name) const { return tables_ > 0 && name != "table" && name != "caption"; }

  bool is_skipped(std::string_view name, const Attributes& attributes) const {
    if (is_one_of(name, kSkipped)) return true;
    if (attributes.has("hidden")) return true;
    if (options_.keep_layout) return false;
    const std::string_view cls = attributes.get("class"), type = attributes.get("type"),
                           role = attributes.get("role");
    return contains(cls, "pagenum") || contains(cls, "pageno") || contains(cls, "pg-boilerplate") ||
           contains(type, "pagebreak") || contains(role, "doc-pagebreak") || role == "navigation";
  }

  const Options& options_;
  TextBuilder& builder_;
  int skipped_ = 0, pre_ = 0, tables_ = 0;
  bool first_cell_ = true;
};

/// FictionBook 2: sections with titles, paragraphs, verses; notes in a body of their own.
class FictionBookReader : public MarkupHandler {
 public:
  explicit FictionBookReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (skipped_ > 0 || name == "binary" || name == "description" || name == "stylesheet") {
      ++skipped_;
      return;
    }
    if (name == "section") ++depth_;
    if (name == "body" && attributes.get("name") == "notes") builder_.section("Notes", 1);
    if (name == "title") builder_.begin_heading(std::max(1, depth_));
    in_title_ = in_title_ || name == "title";
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
    else if (is_one_of(name, kParagraphs))
      builder_.end_paragraph();
  }

  TextBuilder& builder_;
  int skipped_ = 0, depth_ = 0;
  bool in_title_ = false;
};

/// OpenDocument text: text:h, text:p, lists, tables. Tracked changes, notes and annotations are not read.
class OpenDocumentReader : public MarkupHandler {
 public:
  explicit OpenDocumentReader(TextBuilder& builder) : builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    constexpr std::array<std::string_view, 12> kNotRead = {
        "tracked-changes", "note",  "annotation", "automatic-styles", "styles",
        "master-styles",   "meta",  "settings",   "scripts",          "font-face-decls",
        "binary-data",     "object"};
    if (skipped_ > 0 || is_one_of(name, kNotRead)) {
      ++skipped_;
      return;
    }
    if (name == "h") {
      const std::string_view level = attributes.get("outline-level");
      builder_.begin_heading(level.size() == 1 && level[0] >= '1' && level[0] <= '9' ? level[0] - '0' : 1);
      inside_ = true;
    } else if (name == "p") {
      if (tables_ == 0) builder_.end_paragraph();
      inside_ = true;
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
    if (name == "h" || name == "p") inside_ = false;
    if (name == "h") builder_.end_heading();
    if (name == "p" && tables_ == 0) builder_.end_paragraph();
    if (name == "table-row") builder_.line_break();
    if (name == "table" && tables_ > 0 && --tables_ == 0) builder_.end_paragraph();
  }
  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ == 0 && inside_) builder_.text(utf8, offset);
  }

 private:
  TextBuilder& builder_;
  int skipped_ = 0, tables_ = 0;
  bool inside_ = false, first_cell_ = true;
};

}  // namespace

void read_html(const Decoding& decoding, const Options& options, TextBuilder& builder) {
  HtmlReader reader(options, builder);
  parse_html(decoding.text, reader);
  builder.end_heading();
  builder.end_paragraph();
}

void read_fictionbook(const Decoding& decoding, const Options&, TextBuilder& builder) {
  FictionBookReader reader(builder);
  parse_xml(decoding.text, reader);
}

void read_opendocument(const Decoding& decoding, const Options&, TextBuilder& builder) {
  OpenDocumentReader reader(builder);
  parse_xml(decoding.text, reader);
}

}  // namespace unroll::formats
