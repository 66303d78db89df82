// Views of summaries and vectors.
#include <iostream>

#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json summary_in_order(const json& summary) {
  ordered_json ordered = in_order(summary, {"type", "end", "sentences", "words"});
  ordered["sentences"] = ordered_json::array();
  for (const json& sentence : summary.at("sentences")) {
    ordered["sentences"].push_back(in_order(sentence, {"start", "end", "text"}));
  }
  return ordered;
}

/// text: wrapped; on a terminal each sentence on its own line, after its byte offset. Of intermediate
/// summaries, text and ndjson show each, json only the last.
class SummaryView : public View {
 public:
  SummaryView(std::string format, ResultWriter& writer) : format_(std::move(format)), writer_(writer) {}

  void output(const json& data) override {
    const bool running = type_of(data) == "running";
    if (!running && type_of(data) != "summary") return;
    if (format_ == "text") return write_text(data, running);
    if (format_ == "json" && running) return;
    ordered_json summary = summary_in_order(data);
    if (format_ == "json") summary.erase("type");
    writer_.write(to_line(summary));
    writer_.end_line();
  }

 private:
  void write_text(const json& data, bool running) {
    const Terminal& terminal = writer_.terminal();
    if (running)
      writer_.write(bold(terminal, "The first " + with_thousands(whole(data, "end")) + " bytes") + "\n");
    const json& sentences = data.at("sentences");
    if (!running && sentences.empty())
      std::cerr
          << "unroll: no sentence of 6 to 60 words was found that ends with a stop; there is no summary\n";
    writer_.write(terminal.present
                      ? summary_rows(terminal, sentences)
                      : wrap(summary_text(sentences), std::min<std::size_t>(terminal.width, 80)));
    if (running) {
      writer_.write("\n");
      writer_.flush();
    }
  }

  static std::string summary_text(const json& sentences) {
    std::string text;
    for (const json& sentence : sentences)
      text += (text.empty() ? "" : " ") + one_line(text_of(sentence, "text"));
    return text;
  }

  std::string format_;
  ResultWriter& writer_;
};

ordered_json vector_in_order(const json& output) {
  return in_order(output, {"type", "start", "end", "dim", "vector"});
}

class EmbedLines : public View {
 public:
  explicit EmbedLines(ResultWriter& writer) : writer_(writer) {}
  void output(const json& data) override {
    writer_.write(to_line(vector_in_order(data)));
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
};

/// {"segments":[...],"dim":...,"vector":[...]}, written incrementally.
class EmbedObject : public View {
 public:
  explicit EmbedObject(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    ordered_json ordered = vector_in_order(data);
    const bool document = type_of(data) == "document";
    ordered.erase("type");
    if (!document) {
      writer_.write(segments_++ == 0 ? "{\"segments\":[\n" : ",\n");
      writer_.write(to_line(ordered));
      return;
    }
    writer_.write(segments_ == 0 ? "{\"segments\":[" : "");
    writer_.write(to_line(ordered).replace(0, 1, "],\n"));
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
  std::uint64_t segments_ = 0;
};

}  // namespace

std::string summary_rows(const Terminal& terminal, const json& sentences) {
  constexpr std::size_t kPlace = 11;  // columns
  std::string rows;
  for (const json& sentence : sentences) {
    const std::string text = one_line(text_of(sentence, "text"));
    std::string wrapped = wrap(text, std::min<std::size_t>(terminal.width, 92), kPlace + 2);
    const std::string place = right(with_thousands(whole(sentence, "start")), kPlace) + "  ";
    rows += dim(terminal, place) + wrapped.substr(std::min(wrapped.size(), place.size()));
  }
  return rows;
}

std::unique_ptr<View> make_summary_view(const std::string& format, ResultWriter& writer) {
  return std::make_unique<SummaryView>(format, writer);
}

std::unique_ptr<View> make_embed_view(const std::string& format, ResultWriter& writer) {
  if (format == "ndjson") return std::make_unique<EmbedLines>(writer);
  return std::make_unique<EmbedObject>(writer);
}

}  // namespace unroll
