// The heat map: a self-contained HTML page. It holds the text as text, in sections of whole lines; each
// section has its tokens' lengths, surprisals, ranks and likeliest alternatives in four attributes, 17
// characters per token, and a script colours it when it comes into view, so that a browser can show a book.
// Written as outputs arrive; the figures, known only at the end, are moved to the top by the style sheet.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "client/cli/command_error.h"
#include "client/cli/text.h"
#include "client/views/heat_map_page.h"
#include "client/views/heat_map_script.h"
#include "client/views/page.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::size_t kSectionBytes = 4 * 1024;       ///< A section ends with the first line past this size,
constexpr std::size_t kLongSectionBytes = 32 * 1024;  ///< or in the middle of a line past this one.

constexpr std::size_t kAlternatives = 3, kAlternativeDigits = 4;

std::string length_digits(std::size_t length) {
  std::string digits(length / (kPageBase - 1), page_digit(kPageBase - 1));
  return digits + page_digit(length % (kPageBase - 1));
}

/// The most significant first; what does not fit is the greatest that does.
std::string number_digits(std::size_t number, std::size_t count) {
  std::size_t most = 1;
  for (std::size_t i = 0; i < count; ++i) most *= kPageBase;
  number = std::min(number, most - 1);
  std::string digits(count, page_digit(0));
  for (std::size_t i = count; i-- > 0; number /= kPageBase) digits[i] = page_digit(number % kPageBase);
  return digits;
}

/// Whether the text ends inside a character, which the next token completes.
bool ends_inside_character(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    if (continues_utf8(tail.front())) continue;
    return next_utf8(tail).cut_off;
  }
  return false;
}

/// A surprising token, for the table that says in words what the colours show.
struct SurprisingToken {
  double nats = 0;
  std::uint64_t start = 0, end = 0;
  std::int64_t rank = 0;
};

/// The most surprising tokens, in constant memory.
class SurprisingTokens {
 public:
  void add(const SurprisingToken& token) {
    const auto calmer = [](const SurprisingToken& a, const SurprisingToken& b) { return a.nats > b.nats; };
    heap_.push_back(token);
    std::ranges::push_heap(heap_, calmer);
    if (heap_.size() <= kMost) return;
    std::ranges::pop_heap(heap_, calmer);
    heap_.pop_back();
  }
  std::vector<SurprisingToken> in_order() const {
    auto tokens = heap_;
    std::ranges::sort(tokens, {}, &SurprisingToken::start);
    return tokens;
  }

 private:
  static constexpr std::size_t kMost = 50;
  std::vector<SurprisingToken> heap_;  // the calmest first
};

/// Texts of tokens by number, as they are used; 0: none.
class Pieces {
 public:
  std::size_t number_of(const std::string& piece) {
    const auto [at, added] = numbers_.try_emplace(piece, pieces_.size() + 1);
    if (added) pieces_.push_back(piece);
    return at->second;
  }
  /// A list that a script can stand in: nothing in it ends one.
  std::string json_text() const {
    std::string text = json(pieces_).dump(-1, ' ', false, json::error_handler_t::replace);
    for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) text.replace(at, 1, "\\u003c");
    return text;
  }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
  std::vector<std::string> pieces_;
};

class HeatMap : public View {
 public:
  HeatMap(ResultWriter& writer, Source& source, std::vector<Section> chapters)
      : writer_(writer), source_(source) {
    for (Section& chapter : chapters) chapters_.push_back({std::move(chapter)});
    const std::string name = page_text(one_line(source.name())).html;
    writer_.write(std::string(kPageHead) + "<title>" + name + " - unroll</title>\n" +
                  std::string(kPageStyle) + std::string(kHeatMapStyle) + std::string(kHeatMapMain));
    name_ = name;
  }

  void output(const json& data) override {
    const std::string type = type_of(data);
    if (type == "tokens") add_tokens(data);
    if (type == "document") finish_page(data);
  }

 private:
  /// What is shown of a token.
  struct Token {
    double nats = 0;
    std::int64_t rank = 0;
    std::string alternatives;  // digits
  };

  void add_tokens(const json& data) {
    const auto starts = data.at("start").get<std::vector<std::uint64_t>>();
    const auto ends = data.at("end").get<std::vector<std::uint64_t>>();
    const auto logprobs = data.at("logprob").get<std::vector<double>>();
    const auto ranks = data.at("rank").get<std::vector<std::int64_t>>();
    const json& top = data.at("top");
    if (starts.size() != ends.size() || starts.size() != logprobs.size() || starts.size() != ranks.size() ||
        starts.size() != top.size()) {
      throw CommandError(
          "the logprobs plugin's tokens have lists of different lengths; install plugin and client from "
          "one version");
    }
    if (starts.empty()) return;
    const std::string text = source_.text(starts.front(), ends.back());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::uint64_t begin = std::min<std::uint64_t>(starts[i] - starts.front(), text.size());
      surprising_.add({-logprobs[i], starts[i], ends[i], ranks[i]});
      add_token(starts[i], std::string_view(text).substr(begin, ends[i] - starts[i]),
                {-logprobs[i], ranks[i], alternatives_of(top[i])});
    }
  }

  /// Each with its share of the probability, from 0 to 78 of 78.
  std::string alternatives_of(const json& top) {
    std::string digits;
    for (const json& alternative : top) {
      if (digits.size() == kAlternatives * kAlternativeDigits) break;
      const double share = std::exp(alternative.at(1).get<double>());
      digits += number_digits(pieces_.number_of(alternative.at(2).get<std::string>()), 3);
      digits +=
          page_digit(static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * (kPageBase - 1))));
    }
    digits.resize(kAlternatives * kAlternativeDigits, page_digit(0));
    return digits;
  }

  void add_token(std::uint64_t start, std::string_view bytes, const Token& token) {
    if (section_.empty() && pending_.empty()) section_start_ = start;
    if (pending_.empty()) first_ = token;
    add_to_chapter(start, bytes, token.nats);
    pending_ += bytes;
    pending_nats_ += token.nats;
    if (ends_inside_character(pending_)) return;
    end_pending();
    const bool line_ended = !bytes.empty() && bytes.back() == '\n';
    if (section_bytes_ >= (line_ended ? kSectionBytes : kLongSectionBytes)) write_section();
  }

  void add_to_chapter(std::uint64_t start, std::string_view bytes, double nats) {
    while (chapter_ + 1 < chapters_.size() && chapters_[chapter_ + 1].section.start <= start) ++chapter_;
    if (chapters_.empty() || chapters_[chapter_].section.start > start) return;
    chapters_[chapter_].nats += nats;
    chapters_[chapter_].characters +=
        static_cast<double>(std::ranges::count_if(bytes, [](char c) { return !continues_utf8(c); }));
  }

  /// Tokens inside a character are one; rank and alternatives are its first one's.
  void end_pending() {
    const PageText shown = page_text(pending_);
    section_ += shown.html;
    section_bytes_ += pending_.size();
    section_units_ += shown.units;
    section_lines_ += static_cast<std::uint64_t>(std::ranges::count(pending_, '\n'));
    lengths_ += length_digits(shown.units);
    bits_ += page_hundredths(pending_nats_ / std::numbers::ln2);
    ranks_ += number_digits(static_cast<std::size_t>(std::max<std::int64_t>(first_.rank, 0)), 2);
    alternatives_ += first_.alternatives;
    pending_.clear();
    pending_nats_ = 0;
  }

  void write_section() {
    writer_.write("<section data-l=\"" + lengths_ + "\" data-n=\"" + bits_ + "\" data-r=\"" + ranks_ +
                  "\" data-a=\"" + alternatives_ + "\">" + section_ + "</section>\n");
    sections_.push_back({section_start_, units_, lines_});
    units_ += section_units_;
    lines_ += section_lines_;
    section_.clear();
    section_bytes_ = section_units_ = 0;
    section_lines_ = 0;
    for (std::string* digits : {&lengths_, &bits_, &ranks_, &alternatives_}) digits->clear();
  }

  void finish_page(const json& document) {
    if (!pending_.empty()) end_pending();
    if (!lengths_.empty()) write_section();
    writer_.write("</main>\n<header>\n<h1>" + name_ + "</h1>\n<p><strong>" +
                  figure(document, "bits_per_byte", 3) + " bits per byte</strong>, perplexity " +
                  figure(document, "perplexity", 1) + ", " + with_thousands(whole(document, "bytes")) +
                  " bytes, " + with_thousands(whole(document, "tokens")) + " tokens</p>\n" +
                  std::string(kHeatMapControls));
    write_chapters();
    write_surprising(document);
    write_tokens();
    writer_.write("</header>\n" + std::string(kHeatMapMap) + "<script type=application/json id=pieces>" +
                  pieces_.json_text() + "</script>\n" + std::string(kHeatMapScript));
  }

  void write_chapters() {
    if (chapters_.empty()) return;
    writer_.write("<details id=chapters><summary>Chapters</summary>\n<nav aria-label=Chapters><ol>\n");
    for (const Chapter& chapter : chapters_) {
      const double bits = chapter.characters > 0 ? chapter.nats / std::numbers::ln2 / chapter.characters : 0;
      writer_.write("<li data-level=" + std::to_string(std::clamp(chapter.section.level, 1, 6)) + ">" +
                    link(chapter.section.start, page_text(cut(one_line(chapter.section.title), 120)).html) +
                    " <small>" + fixed(bits, 2) + " bits per character</small></li>\n");
    }
    writer_.write("</ol></nav></details>\n");
  }

  void write_surprising(const json& document) {
    const auto surprising = document.find("surprising");
    if (surprising == document.end() || surprising->empty()) return;
    writer_.write("<details id=passages><summary>Most surprising passages</summary>\n<ol>\n");
    for (const json& passage : *surprising) {
      const std::uint64_t start = whole(passage, "start");
      writer_.write("<li>" + link(start, "line " + with_thousands(line_of(start))) + ", " +
                    fixed(number(passage, "bits_per_byte"), 2) + " bits per byte: <bdi>" +
                    page_text(cut(one_line(text_of(passage, "text")), 160)).html + "</bdi></li>\n");
    }
    writer_.write("</ol></details>\n");
  }

  /// In words, for those who do not see the colours.
  void write_tokens() {
    const auto tokens = surprising_.in_order();
    if (tokens.empty()) return;
    writer_.write(
        "<details id=words><summary>Most surprising tokens</summary>\n<div tabindex=0 role=region "
        "aria-label=\"Most surprising tokens\"><table>\n<thead><tr><th scope=col>place"
        "<th scope=col>bits<th scope=col>rank<th scope=col>in the text</tr></thead>\n<tbody>\n");
    for (const SurprisingToken& token : tokens) {
      writer_.write("<tr><td>" + link(token.start, "line " + with_thousands(line_of(token.start))) + "<td>" +
                    fixed(token.nats / std::numbers::ln2, 1) + "<td>" +
                    with_thousands(static_cast<std::uint64_t>(token.rank)) + "<td><bdi>" + in_context(token) +
                    "</bdi></tr>\n");
    }
    writer_.write("</tbody></table></div></details>\n");
  }

  std::string in_context(const SurprisingToken& token) const {
    constexpr std::uint64_t kAround = 60;  // bytes
    std::string before = source_.text(token.start - std::min(token.start, kAround), token.start);
    before.erase(0, std::min(before.find(' ') + 1, before.size()));
    std::string after = source_.text(token.end, token.end + kAround);
    if (after.size() == kAround) after.erase(std::min(after.rfind(' '), after.size()));
    const auto shown = [](std::string text) {
      std::ranges::replace_if(
          text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
      return page_text(text).html;
    };
    return shown(before) + "<mark>" + shown(source_.text(token.start, token.end)) + "</mark>" + shown(after);
  }

  /// To the document's byte, by its line.
  std::string link(std::uint64_t byte, const std::string& html) const {
    return "<a href=\"#L" + std::to_string(line_of(byte)) + "\" data-at=" + std::to_string(unit_of(byte)) +
           ">" + html + "</a>";
  }

  struct Part {
    std::uint64_t start = 0, unit = 0,
                  line = 0;  ///< Of its first byte: in the document, in the page, line ends before.
  };
  const Part* part_of(std::uint64_t byte) const {
    const auto after = std::ranges::upper_bound(sections_, byte, {}, &Part::start);
    return after == sections_.begin() ? nullptr : &*std::prev(after);
  }
  /// A byte's offset in the page's text, in UTF-16 units.
  std::uint64_t unit_of(std::uint64_t byte) const {
    const Part* part = part_of(byte);
    return part == nullptr ? 0 : part->unit + page_text(source_.text(part->start, byte)).units;
  }
  /// From 1.
  std::uint64_t line_of(std::uint64_t byte) const {
    const Part* part = part_of(byte);
    if (part == nullptr) return 1;
    return 1 + part->line +
           static_cast<std::uint64_t>(std::ranges::count(source_.text(part->start, byte), '\n'));
  }

  struct Chapter {
    Section section;
    double nats = 0, characters = 0;
  };

  ResultWriter& writer_;
  Source& source_;
  std::string name_;
  std::vector<Chapter> chapters_;
  std::size_t chapter_ = 0;
  SurprisingTokens surprising_;
  Pieces pieces_;
  std::string pending_;  ///< Bytes of tokens that end inside a character.
  double pending_nats_ = 0;
  Token first_;          ///< Of those.
  std::string section_;  ///< HTML of the section so far, with the lists of its tokens.
  std::string lengths_, bits_, ranks_, alternatives_;
  std::size_t section_bytes_ = 0, section_units_ = 0;
  std::uint64_t section_start_ = 0, section_lines_ = 0;
  std::uint64_t units_ = 0, lines_ = 0;  ///< Of all earlier sections.
  std::vector<Part> sections_;
};

}  // namespace

std::unique_ptr<View> make_heat_map(ResultWriter& writer, Source& source, std::vector<Section> chapters) {
  source.keep_text();
  return std::make_unique<HeatMap>(writer, source, std::move(chapters));
}

}  // namespace unroll
