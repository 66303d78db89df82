// The heat map: a self-contained HTML page. It holds the text as text, in sections of whole lines; each
// section has its tokens' lengths and surprisals in two attributes, three characters per token, and a script
// colours it when it comes into view, so that a browser can show a book. Written as outputs arrive, in
// constant memory; the figures, known only at the end, are moved to the top by the style sheet.
#include <algorithm>
#include <numbers>
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

std::string length_digits(std::size_t length) {
  std::string digits(length / (kPageBase - 1), page_digit(kPageBase - 1));
  return digits + page_digit(length % (kPageBase - 1));
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

class HeatMap : public View {
 public:
  HeatMap(ResultWriter& writer, Source& source) : writer_(writer), source_(source) {
    const std::string name = page_text(one_line(source.name())).html;
    writer_.write(std::string(kPageHead) + "<title>" + name + " - unroll</title>\n" +
                  std::string(kPageStyle) + std::string(kHeatMapStyle) + "<main tabindex=0>\n");
    name_ = name;
  }

  void output(const json& data) override {
    const std::string type = type_of(data);
    if (type == "tokens") add_tokens(data);
    if (type == "document") finish_page(data);
  }

 private:
  void add_tokens(const json& data) {
    const auto starts = data.at("start").get<std::vector<std::uint64_t>>();
    const auto ends = data.at("end").get<std::vector<std::uint64_t>>();
    const auto nats = data.at("nats").get<std::vector<double>>();
    if (starts.size() != ends.size() || starts.size() != nats.size()) {
      throw CommandError(
          "the score plugin's tokens have lists of different lengths; install plugin and client from "
          "one version");
    }
    if (starts.empty()) return;
    const std::string text = source_.text(starts.front(), ends.back());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::uint64_t begin = std::min<std::uint64_t>(starts[i] - starts.front(), text.size());
      add_token(starts[i], std::string_view(text).substr(begin, ends[i] - starts[i]), nats[i]);
    }
  }

  void add_token(std::uint64_t start, std::string_view bytes, double nats) {
    if (section_.empty() && pending_.empty()) section_start_ = start;
    pending_ += bytes;
    pending_nats_ += nats;
    if (ends_inside_character(pending_)) return;
    end_pending();
    const bool line_ended = !bytes.empty() && bytes.back() == '\n';
    if (section_bytes_ >= (line_ended ? kSectionBytes : kLongSectionBytes)) write_section();
  }

  void end_pending() {
    const PageText shown = page_text(pending_);
    section_ += shown.html;
    section_bytes_ += pending_.size();
    section_units_ += shown.units;
    lengths_ += length_digits(shown.units);
    bits_ += page_hundredths(pending_nats_ / std::numbers::ln2);
    pending_.clear();
    pending_nats_ = 0;
  }

  void write_section() {
    writer_.write("<section data-l=\"" + lengths_ + "\" data-n=\"" + bits_ + "\">" + section_ +
                  "</section>\n");
    sections_.push_back({section_start_, units_});
    units_ += section_units_;
    section_.clear();
    section_bytes_ = section_units_ = 0;
    lengths_.clear();
    bits_.clear();
  }

  void finish_page(const json& document) {
    if (!pending_.empty()) end_pending();
    if (!lengths_.empty()) write_section();
    writer_.write("</main>\n<header>\n<h1>" + name_ + "</h1>\n<p><strong>" +
                  figure(document, "bits_per_byte", 3) + " bits per byte</strong>, perplexity " +
                  figure(document, "perplexity", 1) + ", " + with_thousands(whole(document, "bytes")) +
                  " bytes, " + with_thousands(whole(document, "tokens")) + " tokens</p>\n" +
                  std::string(kHeatMapControls));
    write_surprising(document);
    writer_.write("</header>\n" + std::string(kHeatMapMap) + std::string(kHeatMapScript));
  }

  void write_surprising(const json& document) {
    const auto surprising = document.find("surprising");
    if (surprising == document.end() || surprising->empty()) return;
    writer_.write("<details><summary>Most surprising passages</summary>\n<ol>\n");
    for (const json& passage : *surprising) {
      writer_.write(
          "<li><a href=# data-at=" + std::to_string(unit_of(whole(passage, "start"))) + ">line " +
          with_thousands(whole(passage, "line")) + "</a>, " + fixed(number(passage, "bits_per_byte"), 2) +
          " bits per byte: " + page_text(cut(one_line(text_of(passage, "text")), 160)).html + "</li>\n");
    }
    writer_.write("</ol></details>\n");
  }

  /// A byte's offset in the page's text, in UTF-16 units.
  std::uint64_t unit_of(std::uint64_t byte) const {
    const auto after =
        std::upper_bound(sections_.begin(), sections_.end(), byte,
                         [](std::uint64_t start, const Section& section) { return start < section.start; });
    if (after == sections_.begin()) return 0;
    const Section& section = *std::prev(after);
    return section.unit + page_text(source_.text(section.start, byte)).units;
  }

  struct Section {
    std::uint64_t start = 0,
                  unit = 0;  ///< Offsets of its first byte in the document and in the page.
  };

  ResultWriter& writer_;
  Source& source_;
  std::string name_;
  std::string pending_;  ///< Bytes of tokens that end inside a character.
  double pending_nats_ = 0;
  std::string section_;  ///< HTML of the section so far, with the two lists of its tokens.
  std::string lengths_, bits_;
  std::size_t section_bytes_ = 0, section_units_ = 0;
  std::uint64_t section_start_ = 0;
  std::uint64_t units_ = 0;  ///< Of all earlier sections.
  std::vector<Section> sections_;
};

}  // namespace

std::unique_ptr<View> make_heat_map(ResultWriter& writer, Source& source) {
  source.keep_text();
  return std::make_unique<HeatMap>(writer, source);
}

}  // namespace unroll
