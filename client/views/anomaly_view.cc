// Odd lines of a log.
#include "client/cli/text.h"
#include "client/sources/log_text.h"
#include "client/views/rate_text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Places in the text that was read become places in the log's bytes.
void move_places(ordered_json& object, const TextPlaces& places) {
  for (const char* key : {"start", "end"}) object[key] = places.original(whole(object, key));
}

/// {"line":...,"start":...,"end":...,"score":...}, then what only some lines have: scripts rely on this form.
std::string line_object(const json& line, const TextPlaces& places) {
  ordered_json ordered;
  for (const char* key : {"line", "start", "end"}) ordered[key] = whole(line, key);
  number(line, "score");  // checks that it is a number
  ordered["score"] = line["score"];
  for (const char* key : {"lines", "record", "cut", "alert", "ignored_by", "number"}) {
    if (line.contains(key)) ordered[key] = line[key];
  }
  move_places(ordered, places);
  return to_line(ordered);
}

std::string session_object(const json& session, const TextPlaces& places) {
  number(session, "score");
  auto ordered =
      in_order(session, {"type", "session", "lines", "first_line", "last_line", "start", "end", "score"});
  move_places(ordered, places);
  return to_line(ordered);
}

std::string rate_object(const json& rate, const TextPlaces& places) {
  auto ordered = in_order(
      rate, {"type", "rate", "line", "start", "end", "score", "seconds", "usual", "count", "alert", "text"});
  move_places(ordered, places);
  return to_line(ordered);
}

/// Outputs for lines have no type.
bool is_line(const json& output) {
  return !output.is_object() || !output.contains("type");
}
bool is_document(const json& output) {
  return !is_line(output) && type_of(output) == "document";
}
bool is_session(const json& output) {
  return !is_line(output) && type_of(output) == "session";
}

class AnomalyLines : public View {
 public:
  AnomalyLines(ResultWriter& writer, const TextPlaces& places) : writer_(writer), places_(places) {}
  void output(const json& data) override {
    if (!is_line(data) && !is_session(data) && !is_rate(data)) return;
    writer_.write(is_line(data)   ? line_object(data, places_)
                  : is_rate(data) ? rate_object(data, places_)
                                  : session_object(data, places_));
    writer_.end_line();
  }

 private:
  ResultWriter& writer_;
  const TextPlaces& places_;
};

/// {"lines":[...],"top":[...]}, written incrementally; with sessions also "top_sessions"; "rates" if there
/// are any.
class AnomalyObject : public View {
 public:
  AnomalyObject(ResultWriter& writer, const TextPlaces& places) : writer_(writer), places_(places) {}

  void output(const json& data) override {
    if (is_line(data)) {
      writer_.write(lines_++ == 0 ? "{\"lines\":[\n" : ",\n");
      writer_.write(line_object(data, places_));
      return;
    }
    if (is_rate(data)) rates_ += (rates_.empty() ? "" : ",\n") + rate_object(data, places_);
    if (!is_document(data)) return;
    ordered_json top = ordered_json::array();
    for (const json& line : data.at("top")) {
      top.push_back(in_order(line, {"line", "start", "end", "score", "lines", "alert", "text"}));
      move_places(top.back(), places_);
    }
    writer_.write(lines_ == 0 ? "{\"lines\":[" : "");
    writer_.write("],\n\"top\":" + to_line(top));
    if (data.contains("top_sessions")) write_sessions(data.at("top_sessions"));
    if (!rates_.empty()) writer_.write(",\n\"rates\":[" + rates_ + "]");
    writer_.write("}");
    writer_.end_line();
  }

 private:
  void write_sessions(const json& sessions) {
    std::string list;
    for (const json& session : sessions) list += (list.empty() ? "" : ",") + session_object(session, places_);
    writer_.write(",\n\"top_sessions\":[" + list + "]");
  }

  ResultWriter& writer_;
  const TextPlaces& places_;
  std::uint64_t lines_ = 0;
  std::string rates_;
};

class AnomalyTable : public View {
 public:
  explicit AnomalyTable(ResultWriter& writer) : writer_(writer) {}

  void output(const json& data) override {
    if (is_rate(data)) rates_ += rate_row(data);
    if (!is_document(data)) return;
    if (data.contains("top_sessions")) write_sessions(data);
    const json& top = data.at("top");
    std::string heading = "Oddest of " + with_thousands(whole(data, "lines")) + " lines";
    if (data.contains("alerts"))
      heading += "; ! marks the alerts, " + with_thousands(whole(data, "alerts")) + " in all";
    writer_.write(bold(writer_.terminal(), heading) + "\n");
    between_ = data.contains("alerts") ? "   " : "  ";
    if (top.empty()) return;
    writer_.write(dim(writer_.terminal(), "    line      score") + "\n");
    for (const json& line : top) {
      writer_.write(right(with_thousands(whole(line, "line")), 8) + "  " + score_among(top, line) +
                    (is_alert(line) ? heated(writer_.terminal(), 1, " ! ") : between_) +
                    cut(one_line(text_of(line, "text")), writer_.terminal().width - 23) + "\n");
    }
    if (!rates_.empty())
      writer_.write(bold(writer_.terminal(), "\nUnusual times between lines") + "\n" + rates_);
  }

 private:
  std::string rate_row(const json& rate) const {
    return right(with_thousands(whole(rate, "line")), 8) + "  " + right(fixed(number(rate, "score"), 2), 9) +
           (is_alert(rate) ? heated(writer_.terminal(), 1, " ! ") : "  ") +
           cut(one_line(rate_text(rate)), writer_.terminal().width - 23) + "\n";
  }

  void write_sessions(const json& document) {
    const json& top = document.at("top_sessions");
    const std::string heading = "Oddest of " + with_thousands(whole(document, "sessions")) + " sessions";
    writer_.write(bold(writer_.terminal(), heading) + "\n");
    if (!top.empty())
      writer_.write(dim(writer_.terminal(), "    from line    to line    lines      score  session") + "\n");
    for (const json& session : top) {
      writer_.write(right(with_thousands(whole(session, "first_line")), 13) +
                    right(with_thousands(whole(session, "last_line")), 11) +
                    right(with_thousands(whole(session, "lines")), 9) + "  " + score_among(top, session) +
                    "  " + cut(one_line(text_of(session, "session")), writer_.terminal().width - 46) + "\n");
    }
    writer_.write("\n");
  }

  /// The score, coloured by its rank among those shown, best first.
  std::string score_among(const json& top, const json& one) const {
    const double highest = number(top.front(), "score"), lowest = number(top.back(), "score");
    const double score = number(one, "score");
    const double heat = highest > lowest ? heat_of(score, lowest, highest) : 0.5;
    return heated(writer_.terminal(), heat, right(fixed(score, 2), 9));
  }

  ResultWriter& writer_;
  std::string between_;  // what separates score and text if there is no alert
  std::string rates_;    // rows
};

}  // namespace

bool is_alert(const json& line) {
  const auto alert = line.find("alert");
  return alert != line.end() && *alert == true;
}

std::unique_ptr<View> make_anomaly_view(const std::string& format, ResultWriter& writer,
                                        const TextPlaces& places) {
  if (format == "ndjson") return std::make_unique<AnomalyLines>(writer, places);
  if (format == "json") return std::make_unique<AnomalyObject>(writer, places);
  return std::make_unique<AnomalyTable>(writer);
}

}  // namespace unroll
