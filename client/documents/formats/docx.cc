// DOCX: word/document.xml, with the names of styles, and the notes after it.
#include <array>
#include <map>
#include <set>

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
    if (name == "name" && (value.starts_with("toc ") || value.starts_with("TOC "))) contents.insert(id);
    if (name == "outlineLvl" && value.size() == 1 && value[0] >= '0' && value[0] <= '8')
      levels.emplace(id, value[0] - '0' + 1);
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}
  std::string id;
  std::map<std::string, int, std::less<>> levels;
  std::set<std::string, std::less<>> contents;  ///< Of the lines of a table of contents.
};

/// The target of the package's relation to its main document.
struct Relations : MarkupHandler {
  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "Relationship" && attributes.get("Type").ends_with("/officeDocument") && target.empty())
      target = resolved_path("", attributes.get("Target"));
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}
  std::string target;
};

bool is_on(const Attributes& attributes) {
  const std::string_view value = attributes.get("val");
  return value != "0" && value != "false" && value != "off";
}

/// Text boxes come after the paragraph or table that they stand in.
class DocxReader : public MarkupHandler {
 public:
  DocxReader(const Styles& styles, TextBuilder& builder) : styles_(styles), builder_(builder) {}

  void start(std::string_view name, const Attributes& attributes) override {
    // The same text once more, for old readers; what was moved away; property changes; the reading of ruby.
    if (skipped_ > 0 || name == "Fallback" || name == "moveFrom" || name == "pPrChange" ||
        name == "rPrChange" || name == "separator" || name == "rt") {
      ++skipped_;
      return;
    }
    if (name == "t") ++in_text_;
    if (name == "r") in_run_ = true;
    if (name == "vanish" && in_run_) hidden_ = is_on(attributes);
    if (name == "txbxContent") ++boxes_;
    if (boxes_ > 0) {
      if (name == "tab" || name == "br" || name == "cr") box_text_.space();
    } else if (name == "p") {
      if (tables_ == 0) builder_.end_paragraph();
    } else if (name == "pStyle") {
      begin_style(attributes.get("val"));
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
    if (name == "r") in_run_ = hidden_ = false;
    if (boxes_ > 0) {
      if (name == "p" || name == "tc") box_text_.end_paragraph();
      if (name == "txbxContent") --boxes_;
      return;
    }
    if (name == "p") end_paragraph();
    if (name == "tr") builder_.line_break();
    if (name == "tbl" && tables_ > 0 && --tables_ == 0) {
      builder_.end_paragraph();
      box_text_.write(builder_);
    }
  }
  void text(std::string_view utf8, std::uint64_t offset) override {
    if (skipped_ > 0 || in_text_ == 0 || hidden_ || in_contents_) return;
    if (boxes_ > 0)
      box_text_.text(utf8, offset);
    else
      builder_.text(utf8, offset);
  }
  void finish() {
    builder_.end_heading();
    builder_.end_paragraph();
    box_text_.write(builder_);
  }

 private:
  void begin_style(std::string_view style) {
    in_contents_ = styles_.contents.contains(style) && !builder_.keeps_layout();
    const auto level = styles_.levels.find(style);
    if (tables_ == 0 && level != styles_.levels.end()) builder_.begin_heading(level->second);
  }
  void end_paragraph() {
    in_contents_ = false;
    if (tables_ > 0) return builder_.space();
    builder_.end_heading();
    builder_.end_paragraph();
    box_text_.write(builder_);
  }

  const Styles& styles_;
  TextBuilder& builder_;
  LaterText box_text_;
  int skipped_ = 0, in_text_ = 0, tables_ = 0, boxes_ = 0;
  bool first_cell_ = true, in_run_ = false, hidden_ = false;
  bool in_contents_ = false;  ///< In a line of a table of contents.
};

}  // namespace

std::string main_document(const ZipArchive& archive) {
  constexpr const char* kUsual = "word/document.xml";
  if (archive.has(kUsual)) return kUsual;
  Relations relations;
  parse_xml(decode(archive.member("_rels/.rels"), "UTF-8", "").text, relations);
  return relations.target.starts_with("word/") && archive.has(relations.target) ? relations.target : "";
}

void read_docx(const ZipArchive& archive, const std::string& document, TextBuilder& builder,
               std::vector<Decoding>& decodings) {
  Styles styles;
  parse_xml(decode(archive.member("word/styles.xml"), "UTF-8", "").text, styles);
  decodings.reserve(3);  // the builder points at them
  for (const auto& [part, title] : {std::pair{document.c_str(), ""},
                                    {"word/footnotes.xml", "Footnotes"},
                                    {"word/endnotes.xml", "Endnotes"}}) {
    const std::string_view bytes = archive.member(part);
    if (bytes.empty()) continue;
    decodings.push_back(decode(bytes, declared_in_markup(bytes), ""));
    builder.begin_member(part, &decodings.back());
    if (*title != '\0') builder.section(title, 1);
    DocxReader reader(styles, builder);
    parse_xml(decodings.back().text, reader);
    reader.finish();
  }
}

}  // namespace unroll::formats
