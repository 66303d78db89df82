// Views of the score plugin: how surprising a document is, and where.
#include <algorithm>
#include <numbers>

#include "client/cli/command_error.h"
#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Bits per byte that count as calm and as hot: prose that the model knows, and noise.
constexpr double kCalm = 1;
constexpr double kHot = 6;

ordered_json passage_in_order(const json& passage) {
  return in_order(passage, {"type", "line", "start", "end", "start_char", "end_char", "tokens", "nats",
                            "bits_per_byte", "text"});
}

ordered_json document_in_order(const json& document) {
  ordered_json ordered =
      in_order(document, {"type", "tokens", "bytes", "nats", "bits_per_byte", "perplexity", "surprising"});
  if (ordered.contains("surprising")) {
    ordered["surprising"] = ordered_json::array();
    for (const json& passage : document["surprising"])
      ordered["surprising"].push_back(passage_in_order(passage));
  }
  return ordered;
}

ordered_json output_in_order(const json& output) {
  const std::string type = type_of(output);
  if (type == "document") return document_in_order(output);
  if (type == "tokens") return in_order(output, {"type", "start", "end", "start_char", "end_char", "nats"});
  return passage_in_order(output);
}

/// One output per line, the document's figures last.
class ScoreLines : public View {
 public:
  explicit ScoreLines(ResultWriter& writer) : writer_(writer) {}
  void output(const json& data) override {
    writer_.write(to_line(output_in_order(data)));
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
};

/// One object, written incrementally: {"passages":[...], "tokens":..., "bytes":..., ...}. Without passages
/// (granularity "document") only the figures.
class ScoreObject : public View {
 public:
  explicit ScoreObject(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    ordered_json ordered = output_in_order(data);
    const bool document = ordered["type"] == "document";
    if (!document) {
      writer_.write(passages_ ? ",\n" : "{\"passages\":[\n");
      passages_ = true;
      if (ordered["type"] != "tokens") ordered.erase("type");
      writer_.write(to_line(ordered));
      return;
    }
    ordered.erase("type");
    std::string figures = to_line(ordered);
    if (passages_) figures.replace(0, 1, "],\n");
    writer_.write(figures);
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
  bool passages_ = false;
};

/// A short table for people.
class ScoreTable : public View {
 public:
  explicit ScoreTable(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    if (type_of(data) != "document") return;
    write_figures(data);
    const auto surprising = data.find("surprising");
    if (surprising == data.end() || surprising->empty()) return;
    writer_.write("\n" + bold(writer_.terminal(), "Most surprising passages") + "\n");
    writer_.write(dim(writer_.terminal(), "    line  bits/byte") + "\n");
    for (const json& passage : *surprising) write_passage(passage);
  }

 private:
  void write_figures(const json& document) {
    writer_.write(
        with_thousands(whole(document, "bytes")) + " bytes, " + with_thousands(whole(document, "tokens")) +
        " tokens: " + bold(writer_.terminal(), figure(document, "bits_per_byte", 3) + " bits per byte") +
        ", perplexity " + figure(document, "perplexity", 1) + "\n");
    writer_.write(vocabulary_note(document, writer_.terminal()));
  }

  void write_passage(const json& passage) {
    const Terminal& terminal = writer_.terminal();
    const double bits = number(passage, "bits_per_byte");
    const std::string excerpt = cut(one_line(text_of(passage, "text")), terminal.width - 23);
    writer_.write(right(with_thousands(whole(passage, "line")), 8) + "  " +
                  heated(terminal, heat_of(bits, kCalm, kHot), right(fixed(bits, 2), 9)) + "  " + excerpt +
                  "\n");
  }

  ResultWriter& writer_;
};

/// All passages as they arrive, then the table.
class PassageTable : public View {
 public:
  PassageTable(ResultWriter& writer, Source& source) : writer_(writer), source_(source), table_(writer) {}

  void output(const json& data) override {
    const std::string type = type_of(data);
    if (type == "document") {
      if (headed_) writer_.write("\n");
      return table_.output(data);
    }
    if (!headed_) {
      writer_.write(dim(writer_.terminal(), type == "tokens"
                                                ? "     start       end    bits"
                                                : "   line     start       end tokens     nats bits/byte") +
                    "\n");
    }
    headed_ = true;
    if (type == "tokens") return write_tokens(data);
    write_row(
        right(with_thousands(whole(data, "line")), 7) + range(whole(data, "start"), whole(data, "end")) +
            right(with_thousands(whole(data, "tokens")), 7) + right(fixed(number(data, "nats"), 1), 9),
        heated_figure(number(data, "bits_per_byte"), kHot, 10),
        source_.text(whole(data, "start"), std::min(whole(data, "end"), whole(data, "start") + kExcerpt)));
  }

 private:
  static constexpr std::size_t kExcerpt = 1024;
  static constexpr double kHotToken = 16;  ///< Bits.

  void write_tokens(const json& data) {
    const json &starts = data.at("start"), &ends = data.at("end"), &nats = data.at("nats");
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto start = starts.at(i).get<std::uint64_t>(), end = ends.at(i).get<std::uint64_t>();
      write_row(range(start, end), heated_figure(nats.at(i).get<double>() / std::numbers::ln2, kHotToken, 8),
                json(source_.text(start, end)).dump(-1, ' ', false, json::error_handler_t::replace));
    }
  }
  static std::string range(std::uint64_t start, std::uint64_t end) {
    return right(with_thousands(start), 10) + right(with_thousands(end), 10);
  }
  std::string heated_figure(double bits, double hot, std::size_t width) const {
    return heated(writer_.terminal(), heat_of(bits, kCalm, hot), right(fixed(bits, 2), width));
  }
  void write_row(const std::string& figures, const std::string& heat, const std::string& text) {
    const std::size_t taken = columns(figures) + 12;
    writer_.write(figures + heat + "  " +
                  cut(one_line(text), std::max<std::size_t>(writer_.terminal().width, taken + 20) - taken) +
                  "\n");
  }

  ResultWriter& writer_;
  Source& source_;
  ScoreTable table_;
  bool headed_ = false;
};

}  // namespace

std::unique_ptr<View> make_score_view(const std::string& format, ResultWriter& writer) {
  if (format == "ndjson") return std::make_unique<ScoreLines>(writer);
  if (format == "json") return std::make_unique<ScoreObject>(writer);
  return std::make_unique<ScoreTable>(writer);
}

std::unique_ptr<View> make_passage_table(ResultWriter& writer, Source& source) {
  source.keep_text();
  return std::make_unique<PassageTable>(writer, source);
}

}  // namespace unroll
