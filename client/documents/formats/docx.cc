// DOCX: word/document.xml, with the names of styles, and the notes after it.
#include <array>

#include "client/documents/formats/archive.h"
#include "client/documents/formats/markup.h"

namespace unroll::formats {
namespace {

/// Levels of heading styles, by the style's id: its name is "heading 1" in any language, or it has an outline
/// level.
struct Styles : MarkupHandler {
  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "style") id = attributes.get("styleId");
    const std::string_view value = attributes.get("val");
    if (name == "name" && (value.starts_with("heading ") || value.starts_with("Heading ")) &&
        value.size() == 9 && value[8] >= '1' && value[8] <= '9')
      levels[id] = value[8] - '0';
    if (name == "name" && (value == "Title" || value == "title")) levels[id] = 1;
    if (name == "outlineLvl" && value.size() == 1 && value[0] >= '0' && value[0] <= '8')
      levels.emplace(id, value[0] - '0' + 1);
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}
  std::string id;
  std::map<std::string, int, std::less<>> levels;
};

class DocxReader : public MarkupHandler {
 public:
  DocxReader(const Styles& styles, TextBuilder& builder) : styles_(styles), builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    // The same text once more, for old readers; what was moved away; property changes.
    if (skipped_ > 0 || name == "Fallback" || name == "moveFrom" || name == "pPrChange" ||
        name == "separator") {
      ++skipped_;
      return;
    }
    if (name == "t") {
      ++in_text_;
    } else if (name == "p") {
      if (tables_ == 0) builder_.end_paragraph();
    } else if (name == "pStyle" && tables_ == 0) {
      const auto level = styles_.levels.find(attributes.get("val"));
      if (level != styles_.levels.end()) builder_.begin_heading(level->second);
    } else if (name == "tab") {
      builder_.space();
    } else if (name == "br" || name == "cr") {
      if (attributes.get("type") != "page") builder_.line_break();
    } else if (name == "noBreakHyphen") {
      builder_.insert("-");
    } else if (name == "tbl") {
      if (tables_++ == 0) builder_.end_paragraph();
    } else if (name == "tr") {
      first_cell_ = true;
    } else if (name == "tc") {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    }
  }
  void end(std::string_view name) override {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (name == "t" && in_text_ > 0) --in_text_;
    if (name == "p" && tables_ == 0) {
      builder_.end_heading();
      builder_.end_paragraph();
    }
    if (name == "p" && tables_ > 0) builder_.space();
    if (name == "tr") builder_.line_break();
    if (name == "tbl" && tables_ > 0 && --tables_ == 0) builder_.end_paragraph();
  }
  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ == 0 && in_text_ > 0) builder_.text(utf8, offset);
  }

 private:
  const Styles& styles_;
  TextBuilder& builder_;
  int skipped_ = 0, in_text_ = 0, tables_ = 0;
  bool first_cell_ = true;
};

}  // namespace

void read_docx(const ZipArchive& archive, TextBuilder& builder, std::vector<Decoding>& decodings) {
  Styles styles;
  parse_xml(decode(archive.member("word/styles.xml"), "UTF-8", "").text, styles);
  decodings.reserve(3);  // the builder points at them
  for (const auto& [part, title] : {std::pair{"word/document.xml", ""},
                                    {"word/footnotes.xml", "Footnotes"},
                                    {"word/endnotes.xml", "Endnotes"}}) {
    const std::string_view bytes = archive.member(part);
    if (bytes.empty()) continue;
    decodings.push_back(decode(bytes, declared_in_markup(bytes), ""));
    builder.begin_member(part, &decodings.back());
    if (*title != '\0') builder.section(title, 1);
    DocxReader reader(styles, builder);
    parse_xml(decodings.back().text, reader);
    builder.end_heading();
    builder.end_paragraph();
  }
}

}  // namespace unroll::formats
