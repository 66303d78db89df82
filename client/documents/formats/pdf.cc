#include "client/documents/formats/pdf.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include <unicode/uchar.h>

#include "base/utf8.h"
#include "client/documents/formats/markup.h"
#include "client/documents/formats/plain_text.h"

namespace unroll::formats {
namespace {

struct PdfLine {
  double left = 0, top = 0, right = 0, bottom = 0;
  std::string text;
  bool first_of_block = false;
  double height() const { return bottom - top; }
};

struct Page {
  double height = 0;
  std::vector<PdfLine> lines;
};

double number(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return std::isfinite(value) ? value : 0;  // pdftotext prints "nan", which cannot be sorted
}

/// <page>, <block>, <line xMin yMin xMax yMax>, <word>.
struct LayoutReader : MarkupHandler {
  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "page") {
      pages.push_back({number(attributes.get("height")), {}});
      in_word = false;  // of a word that was not closed
    } else if (name == "block") {
      new_block = true;
    } else if (name == "line" && !pages.empty()) {
      pages.back().lines.push_back({number(attributes.get("xMin")), number(attributes.get("yMin")),
                                    number(attributes.get("xMax")), number(attributes.get("yMax")), "",
                                    new_block});
      new_block = false;
    } else if (name == "word" && !pages.empty() && !pages.back().lines.empty()) {
      std::string& text = pages.back().lines.back().text;
      if (!text.empty()) text += ' ';
      in_word = true;
    }
  }
  void end(std::string_view name) override {
    if (name == "word") in_word = false;
  }
  void text(std::string_view utf8, std::uint64_t) override {
    if (in_word) pages.back().lines.back().text += utf8;
  }

  std::vector<Page> pages;
  bool new_block = false, in_word = false;
};

/// Digits as one sign, so that running heads with page numbers are equal.
std::string without_numbers(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c < '0' || c > '9')
      result += c;
    else if (!result.ends_with('#'))
      result += '#';
  }
  return result;
}

bool is_page_number(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" -[]()."), end = text.find_last_not_of(" -[]().");
  if (begin == std::string_view::npos) return true;
  text = text.substr(begin, end - begin + 1);
  return text.size() <= 6 && text.find_first_not_of("0123456789ivxlcIVXLC") == std::string_view::npos;
}

/// Lines in the outer tenth of pages: a number, or what several pages repeat there.
std::size_t drop_furniture(std::vector<Page>& pages) {
  const auto outside = [](const Page& page, const PdfLine& line) {
    return line.bottom < page.height * 0.1 || line.top > page.height * 0.9;
  };
  std::map<std::string, int> repeated;
  for (const Page& page : pages) {
    for (const PdfLine& line : page.lines) {
      if (outside(page, line)) ++repeated[without_numbers(line.text)];
    }
  }
  std::size_t dropped = 0;
  for (Page& page : pages) {
    dropped += std::erase_if(page.lines, [&](const PdfLine& line) {
      return outside(page, line) && (is_page_number(line.text) || repeated[without_numbers(line.text)] >= 3);
    });
    if (!page.lines.empty() && dropped > 0) page.lines.front().first_of_block = true;
  }
  return dropped;
}

/// The edges of a column of text.
struct Column {
  double left = 0, right = 0;
};

double at_percent(std::vector<double> values, std::size_t percent) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() * percent / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// Sizes of the body text.
class Body {
 public:
  explicit Body(const std::vector<Page>& pages) {
    std::vector<double> heights, gaps, lefts;
    std::vector<const PdfLine*> lines;
    for (const Page& page : pages) {
      const PdfLine* before = nullptr;
      for (const PdfLine& line : page.lines) {
        lines.push_back(&line);
        heights.push_back(line.height());
        lefts.push_back(line.left);
        if (before != nullptr && line.top > before->top) gaps.push_back(line.top - before->top);
        before = &line;
      }
    }
    height = at_percent(heights, 50);
    gap = at_percent(gaps, 50);
    find_columns(lines, lefts);
  }

  /// The column in which a line begins.
  const Column& column_of(const PdfLine& line) const { return columns_.at(index_of(line)); }
  std::size_t index_of(const PdfLine& line) const {
    std::size_t index = 0;
    while (index + 1 < columns_.size() && columns_[index + 1].left <= line.left + height / 2) ++index;
    return index;
  }

  double height = 0, gap = 0;

 private:
  static constexpr std::size_t kMostColumns = 4;

  /// Columns are where many lines begin.
  void find_columns(const std::vector<const PdfLine*>& lines, const std::vector<double>& lefts) {
    std::vector<double> rest = lefts;
    while (columns_.size() < kMostColumns) {
      const auto [left, count] = most_frequent(rest);
      if (count * 100 < lefts.size() * 15 || count == 0) break;
      columns_.push_back({left, 0});
      std::erase_if(rest, [&](double x) { return x > left - 8 * height && x < left + 8 * height; });
    }
    if (columns_.size() <= 1) columns_ = {{at_percent(lefts, 50), 0}};
    std::ranges::sort(columns_, {}, &Column::left);
    std::vector<std::vector<double>> rights(columns_.size());
    for (const PdfLine* line : lines) rights[index_of(*line)].push_back(line->right);
    // Titles may go across columns.
    const std::size_t percent = columns_.size() > 1 ? 80 : 90;
    for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].right = at_percent(rights[i], percent);
  }

  /// Where most lines begin, within half of a line's height, and how many.
  std::pair<double, std::size_t> most_frequent(std::vector<double> lefts) const {
    std::ranges::sort(lefts);
    std::pair<double, std::size_t> best{0, 0};
    for (std::size_t begin = 0, end = 0; begin < lefts.size(); ++begin) {
      while (end < lefts.size() && lefts[end] <= lefts[begin] + height / 2) ++end;
      if (end - begin > best.second) best = {lefts[begin], end - begin};
    }
    return best;
  }

  std::vector<Column> columns_;  ///< By their left edges; at least one.
};

/// Whether a line is the initial of a chapter, beside the first lines.
bool is_initial(const PdfLine& line, const PdfLine& next, double height) {
  if (line.text.empty() || next.text.empty() || line.height() < height * 1.5) return false;
  const Utf8 letter = next_utf8(line.text);
  return letter.bytes == line.text.size() && ::u_isupper(static_cast<UChar32>(letter.code)) != 0 &&
         next.left > line.right - height && next.top < line.bottom && next.bottom > line.top;
}

/// Puts initials before the rest of their words; their own lines become empty.
void join_initials(std::vector<PdfLine>& lines, double height, const Hyphens& words) {
  constexpr std::size_t kMostBeside = 8;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    PdfLine& initial = lines[i];
    if (!is_initial(initial, lines[i + 1], height)) continue;
    std::string& text = lines[i + 1].text;
    const std::string rest = text.substr(0, text.find_first_of(" ,;.'"));
    // "I was" is not "Iwas".
    const bool is_word = words.has_word(rest) && !words.has_word(initial.text + rest);
    text.insert(0, initial.text + (is_word ? " " : ""));
    initial.text.clear();
    lines[i + 1].first_of_block = true;
    const std::size_t end = std::min(lines.size(), i + 1 + kMostBeside);
    for (std::size_t beside = i + 1; beside < end && lines[beside].top < initial.bottom - height / 2 &&
                                     lines[beside].left > initial.right - height;
         ++beside)
      lines[beside].left = initial.left;
  }
}

bool ends_sentence(std::string_view text) {
  for (const char* end :
       {".", "!", "?", ":", "\"", ")", "\xE2\x80\x9D", "\xE2\x80\x99", "\xE2\x80\xA6", "\xE3\x80\x82"}) {
    if (text.ends_with(end)) return true;
  }
  return false;
}

bool begins_paragraph(const PdfLine& before, const PdfLine& line, const Body& body, bool new_page) {
  const double size = body.height;
  const double left = body.column_of(line).left, right = body.column_of(before).right;
  const bool new_column = new_page || line.top < before.top || body.index_of(line) != body.index_of(before);
  if (std::abs(line.height() - before.height()) > size * 0.2) return true;
  // The first word of this line would have fitted in the line before it.
  const std::size_t word = line.text.substr(0, line.text.find(' ')).size();
  const double character =
      (before.right - before.left) / static_cast<double>(std::max<std::size_t>(before.text.size(), 1));
  const bool short_before = before.right + character * static_cast<double>(word + 1) < right + character / 2;
  if (new_column) return ends_sentence(before.text) && (short_before || line.left > left + size * 0.5);
  if (line.top - before.top > body.gap * 1.35) return true;
  if (line.left > before.left + size * 0.6 && line.left > left + size * 0.6) return true;  // indented
  return short_before && ends_sentence(before.text);
}

std::string whole(const std::vector<Page>& pages) {
  std::string text;
  for (const Page& page : pages) {
    for (const PdfLine& line : page.lines) text += line.text + "\n";
  }
  return text;
}

class PdfText {
 public:
  PdfText(const Options& options, TextBuilder& builder, const Body& body, const Hyphens& hyphens)
      : options_(options), builder_(builder), body_(body), hyphens_(hyphens) {}

  void add(const std::vector<Page>& pages) {
    int number = 0;
    for (const Page& page : pages) {
      page_ = ++number;
      new_page_ = true;
      for (const PdfLine& line : page.lines) add(line);
      if (options_.keep_layout) flush();
    }
    flush();
  }

 private:
  void add(const PdfLine& line) {
    if (line.text.empty()) return;
    if (!lines_.empty() && begins_paragraph(*lines_.back(), line, body_, new_page_)) flush();
    new_page_ = false;
    if (lines_.empty()) first_page_ = page_;
    lines_.push_back(&line);
  }

  void flush() {
    if (lines_.empty()) return;
    if (first_page_ != member_page_) {
      builder_.begin_member("page " + std::to_string(first_page_), nullptr);
      member_page_ = first_page_;
    }
    const bool heading = lines_.size() <= 3 && lines_.front()->height() > body_.height * 1.15;
    if (heading) builder_.begin_heading(lines_.front()->height() > body_.height * 1.6 ? 1 : 2);
    std::vector<Line> joined;
    for (const PdfLine* line : lines_) {
      joined.push_back({line->text, 0});
      if (!options_.keep_layout) continue;
      join_lines(builder_, joined, hyphens_);
      builder_.line_break();
      joined.clear();
    }
    join_lines(builder_, joined, hyphens_);
    if (heading) builder_.end_heading();
    builder_.end_paragraph();
    lines_.clear();
  }

  const Options& options_;
  TextBuilder& builder_;
  const Body& body_;
  const Hyphens& hyphens_;
  std::vector<const PdfLine*> lines_;  ///< Of the current paragraph.
  int page_ = 0, first_page_ = 0, member_page_ = 0;
  bool new_page_ = false;
};

}  // namespace

DocumentText read_pdf_layout(std::string_view layout, const Options& options) {
  LayoutReader reader;
  parse_xml(layout, reader);
  std::size_t lines = 0;
  for (const Page& page : reader.pages) lines += page.lines.size();
  if (lines == 0) throw Unreadable("is a PDF without a text layer; recognise its text first (ocrmypdf)");
  const std::size_t dropped = options.keep_layout ? 0 : drop_furniture(reader.pages);
  TextBuilder builder(options.keep_layout);
  const Body body(reader.pages);
  const Hyphens hyphens(whole(reader.pages));
  for (Page& page : reader.pages) {
    if (!options.keep_layout) join_initials(page.lines, body.height, hyphens);
  }
  PdfText(options, builder, body, hyphens).add(reader.pages);
  DocumentText document = builder.finish("PDF");
  if (dropped > 0)
    document.notes.push_back("dropped " + std::to_string(dropped) + " running heads and page numbers");
  return document;
}

}  // namespace unroll::formats
