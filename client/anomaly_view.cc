// Odd lines of a log.
#include "client/text.h"
#include "client/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Just {"line":...,"start":...,"end":...,"score":...}, and "alert" where it is one: the form that scripts
/// rely on.
std::string line_object(const json& line) {
  ordered_json ordered;
  for (const char* key : {"line", "start", "end"}) ordered[key] = whole(line, key);
  number(line, "score");  // There, and a number.
  ordered["score"] = line["score"];
  if (is_alert(line)) ordered["alert"] = true;
  return to_line(ordered);
}

/// Lines have no type.
bool is_line(const json& output) {
  return !output.is_object() || !output.contains("type");
}
bool is_document(const json& output) {
  return !is_line(output) && type_of(output) == "document";
}

class AnomalyLines : public View {
 public:
  explicit AnomalyLines(ResultWriter& writer) : writer_(writer) {}
  void output(const json& data) override {
    if (!is_line(data)) return;
    writer_.write(line_object(data));
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
};

/// {"lines":[...],"top":[...]}, written as it grows.
class AnomalyObject : public View {
 public:
  explicit AnomalyObject(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    if (is_line(data)) {
      writer_.write(lines_++ == 0 ? "{\"lines\":[\n" : ",\n");
      writer_.write(line_object(data));
      return;
    }
    if (!is_document(data)) return;
    ordered_json top = ordered_json::array();
    for (const json& line : data.at("top"))
      top.push_back(in_order(line, {"line", "start", "end", "score", "alert", "text"}));
    writer_.write(lines_ == 0 ? "{\"lines\":[" : "");
    writer_.write("],\n\"top\":" + to_line(top) + "}");
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
  std::uint64_t lines_ = 0;
};

class AnomalyTable : public View {
 public:
  explicit AnomalyTable(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    if (!is_document(data)) return;
    const json& top = data.at("top");
    std::string heading = "Oddest of " + with_thousands(whole(data, "lines")) + " lines";
    if (data.contains("alerts"))
      heading += "; ! marks the alerts, " + with_thousands(whole(data, "alerts")) + " in all";
    writer_.write(bold(writer_.terminal(), heading) + "\n");
    between_ = data.contains("alerts") ? "   " : "  ";
    if (top.empty()) return;
    writer_.write(dim(writer_.terminal(), "    line      score") + "\n");
    const double highest = number(top.front(), "score");
    const double lowest = number(top.back(), "score");
    for (const json& line : top) write_line(line, lowest, highest);
  }

 private:
  void write_line(const json& line, double lowest, double highest) {
    const Terminal& terminal = writer_.terminal();
    const double score = number(line, "score");
    const double heat = highest > lowest ? heat_of(score, lowest, highest) : 0.5;
    writer_.write(right(with_thousands(whole(line, "line")), 8) + "  " +
                  heated(terminal, heat, right(fixed(score, 2), 9)) +
                  (is_alert(line) ? heated(terminal, 1, " ! ") : between_) +
                  cut(one_line(text_of(line, "text")), terminal.width - 23) + "\n");
  }

  ResultWriter& writer_;
  std::string between_;  // score and text, where there is no alert
};

}  // namespace

bool is_alert(const json& line) {
  const auto alert = line.find("alert");
  return alert != line.end() && *alert == true;
}

std::unique_ptr<View> make_anomaly_view(const std::string& format, ResultWriter& writer) {
  if (format == "ndjson") return std::make_unique<AnomalyLines>(writer);
  if (format == "json") return std::make_unique<AnomalyObject>(writer);
  return std::make_unique<AnomalyTable>(writer);
}

}  // namespace unroll
