// Odd lines of a log.
#include "client/views/anomaly_view.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "client/cli/text.h"
#include "client/logs/line_context.h"
#include "client/views/event_text.h"
#include "client/views/rate_text.h"
#include "client/views/record_text.h"
#include "plugins/builtin/log_line.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double kOdd = 1;                     // score from which a line has context
constexpr std::size_t kMostText = 4096;        // bytes of a text in an output
constexpr std::uint64_t kBefore = 128 * 1024;  // bytes before a line that the next ones may need

/// Places in the text that was read become places in the log's bytes.
void move_places(ordered_json& object, const TextPlaces& places) {
  for (const char* key : {"start", "end"}) object[key] = places.original(whole(object, key));
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

std::string time_of(const records::Carried& carried, const records::TimeFormat& times) {
  std::string time = times.empty() ? "" : times.text(carried.text);
  if (time.empty()) time = carried.time;
  return time.empty() ? records::record_time(carried.text) : time;
}

/// The odd line that an output is about.
LogEvent event_of(const json& line, const records::Carried& carried, std::size_t log) {
  LogEvent event;
  event.score = number(line, "score");
  event.log = log;
  event.line = whole(line, "line");
  if (line.contains("record")) event.record = whole(line, "record");
  event.is_frame = event.record != 0;  // the record's text has its exception
  event.text = std::string(builtin::cut_utf8(carried.text, kMostText));
  event.alert = is_alert(line);
  if (line.contains("odd"))
    event.shown = builtin::shown_of_long(carried.text, place_in_record(line, carried, whole(line, "odd")));
  if (line.contains("number")) event.odd_number = range_text(line["number"]);
  return event;
}

/// Of records of several lines: the text that the plugin made of them.
void show_records(const json& document, std::size_t log, LogEvents& events) {
  std::unordered_map<std::uint64_t, std::string> shown;
  for (const json& record : document.at("top")) {
    if (record.contains("lines")) shown[whole(record, "line")] = text_of(record, "text");
  }
  events.show_records(log, shown);
}

/// What the three formats have in common.
class AnomalyView : public View {
 protected:
  AnomalyView(AnomalyViewOptions options, ResultWriter& writer, const TextPlaces& places)
      : options_(std::move(options)), writer_(writer), places_(places), events_(options_.top) {}

  records::Carried carried_of(const json& line) const {
    return options_.text == nullptr ? records::Carried() : record_text(*options_.text, line);
  }
  void forget_before(const json& line) const {
    const std::uint64_t start = whole(line, "start");
    if (options_.text != nullptr && start > kBefore) options_.text->forget(start - kBefore);
  }
  /// Scripts rely on this form.
  ordered_json object_of(const json& line, const records::Carried& carried) const {
    ordered_json object;
    if (options_.text != nullptr) object["file"] = options_.file;
    for (const char* key : {"line", "start", "end"}) object[key] = whole(line, key);
    number(line, "score");  // checks that it is a number
    object["score"] = line["score"];
    for (const char* key : {"lines", "record", "cut", "alert", "ignored_by", "number"}) {
      if (line.contains(key)) object[key] = line[key];
    }
    move_places(object, places_);
    if (options_.text == nullptr) return object;
    if (std::string time = time_of(carried, options_.times); !time.empty()) object["time"] = std::move(time);
    object["text"] = builtin::cut_utf8(carried.text, kMostText);
    if (line.contains("parts")) object["parts"] = line["parts"];
    object["known"] = nullptr;
    return object;
  }

  const AnomalyViewOptions options_;
  ResultWriter& writer_;
  const TextPlaces& places_;
  LogEvents events_;
};

class AnomalyLines : public AnomalyView {
 public:
  AnomalyLines(AnomalyViewOptions options, ResultWriter& writer, const TextPlaces& places)
      : AnomalyView(std::move(options), writer, places),
        context_(options_.context, [this](const ordered_json& object) { write(to_line(object)); }) {}

  void output(const json& data) override {
    if (is_line(data)) {
      const auto carried = carried_of(data);
      context_.add(object_of(data, carried), carried.text.substr(0, kMostText),
                   number(data, "score") >= kOdd);
      return forget_before(data);
    }
    if (!is_session(data) && !is_rate(data) && !is_document(data)) return;
    context_.flush();
    if (is_session(data)) write(session_object(data, places_));
    if (is_rate(data)) write(rate_object(data, places_));
  }

 private:
  void write(const std::string& line) {
    writer_.write(line);
    writer_.end_line();
  }

  LineContext context_;
};

/// {"lines":[...],"top":[...]}, written incrementally; with sessions also "top_sessions"; "rates" if there
/// are any.
class AnomalyObject : public AnomalyView {
 public:
  AnomalyObject(AnomalyViewOptions options, ResultWriter& writer, const TextPlaces& places)
      : AnomalyView(std::move(options), writer, places),
        context_(options_.context, [this](const ordered_json& object) {
          writer_.write((lines_++ == 0 ? "{\"lines\":[\n" : ",\n") + to_line(object));
        }) {}

  void output(const json& data) override {
    if (is_line(data)) return take_line(data);
    if (is_rate(data)) rates_ += (rates_.empty() ? "" : ",\n") + rate_object(data, places_);
    if (!is_document(data)) return;
    context_.flush();
    show_records(data, 0, events_);
    ordered_json top = ordered_json::array();
    for (const LogEvent* event : events_.best(options_.top)) {
      top.push_back(event_object(*event));
      top.back()["text"] = event->shown_text();
    }
    writer_.write(lines_ == 0 ? "{\"lines\":[" : "");
    writer_.write("],\n\"top\":" + to_line(top));
    if (data.contains("top_sessions")) write_sessions(data.at("top_sessions"));
    if (!rates_.empty()) writer_.write(",\n\"rates\":[" + rates_ + "]");
    writer_.write("}");
    writer_.end_line();
  }

 private:
  void take_line(const json& line) {
    const auto carried = carried_of(line);
    const double score = number(line, "score");
    ordered_json object = object_of(line, carried);
    if (events_.wants(score)) {
      LogEvent event = event_of(line, carried, 0);
      event.object = object;
      events_.add(std::move(event));
    }
    context_.add(std::move(object), carried.text.substr(0, kMostText), score >= kOdd);
    forget_before(line);
  }

  void write_sessions(const json& sessions) {
    std::string list;
    for (const json& session : sessions) list += (list.empty() ? "" : ",") + session_object(session, places_);
    writer_.write(",\n\"top_sessions\":[" + list + "]");
  }

  LineContext context_;
  std::uint64_t lines_ = 0;
  std::string rates_;
};

class AnomalyTable : public AnomalyView {
 public:
  AnomalyTable(const AnomalyViewOptions& options, ResultWriter& writer, const TextPlaces& places)
      : AnomalyView(options, writer, places) {}

  void output(const json& data) override {
    if (is_line(data)) {
      if (events_.wants(number(data, "score"))) events_.add(event_of(data, carried_of(data), 0));
      return forget_before(data);
    }
    if (is_rate(data)) rates_ += rate_row(data);
    if (!is_document(data)) return;
    if (data.contains("top_sessions")) write_sessions(data);
    std::string heading = "Oddest of " + with_thousands(whole(data, "lines")) + " lines";
    if (data.contains("alerts"))
      heading += "; ! marks the alerts, " + with_thousands(whole(data, "alerts")) + " in all";
    writer_.write(bold(writer_.terminal(), heading) + "\n");
    between_ = data.contains("alerts") ? "   " : "  ";
    show_records(data, 0, events_);
    const auto top = events_.best(options_.top);
    if (top.empty()) return;
    writer_.write(dim(writer_.terminal(), "    line      score") + "\n");
    for (const LogEvent* event : top) write_event(*event, top.back()->score, top.front()->score);
    if (!rates_.empty())
      writer_.write(bold(writer_.terminal(), "\nUnusual times between lines") + "\n" + rates_);
  }

 private:
  static constexpr std::size_t kTextColumn = 23;

  void write_event(const LogEvent& event, double lowest, double highest) {
    const Terminal& terminal = writer_.terminal();
    std::string more = event.count > 1 ? with_thousands(event.count) + " times" : "";
    if (const std::string span = span_text(event); !span.empty()) more += (more.empty() ? "" : ", ") + span;
    if (!more.empty()) more = "  (" + more + ")";
    writer_.write(right(with_thousands(event.line), 8) + "  " + heated_score(event.score, lowest, highest) +
                  (event.alert ? heated(terminal, 1, " ! ") : between_) +
                  fitting(terminal, event.told_text(), kTextColumn + columns(more)) + dim(terminal, more) +
                  "\n");
    write_neighbours(writer_, event, kTextColumn);
  }

  std::string rate_row(const json& rate) const {
    return right(with_thousands(whole(rate, "line")), 8) + "  " + right(fixed(number(rate, "score"), 2), 9) +
           (is_alert(rate) ? heated(writer_.terminal(), 1, " ! ") : "  ") +
           fitting(writer_.terminal(), rate_text(rate), kTextColumn) + "\n";
  }

  void write_sessions(const json& document) {
    const json& top = document.at("top_sessions");
    const std::string heading = "Oddest of " + with_thousands(whole(document, "sessions")) + " sessions";
    writer_.write(bold(writer_.terminal(), heading) + "\n");
    if (!top.empty())
      writer_.write(dim(writer_.terminal(), "    from line    to line    lines      score  session") + "\n");
    for (const json& session : top) {
      writer_.write(
          right(with_thousands(whole(session, "first_line")), 13) +
          right(with_thousands(whole(session, "last_line")), 11) +
          right(with_thousands(whole(session, "lines")), 9) + "  " +
          heated_score(number(session, "score"), number(top.back(), "score"), number(top.front(), "score")) +
          "  " + fitting(writer_.terminal(), text_of(session, "session"), 46) + "\n");
    }
    writer_.write("\n");
  }

  /// Coloured by its rank among those shown, best first.
  std::string heated_score(double score, double lowest, double highest) const {
    const double heat = highest > lowest ? heat_of(score, lowest, highest) : 0.5;
    return heated(writer_.terminal(), heat, right(fixed(score, 2), 9));
  }

  std::string between_;  // what separates score and text if there is no alert
  std::string rates_;    // rows
};

class ReportView : public View {
 public:
  ReportView(LogReport& report, ReadText& text, std::size_t log, LogEvents& events)
      : report_(report), text_(text), log_(log), events_(events) {}

  void output(const json& data) override {
    if (is_line(data)) {
      if (events_.wants(number(data, "score"))) add_event(data);
      return write_lines(data);
    }
    if (is_document(data)) show_records(data, log_, events_);
    if (!is_rate(data)) return;
    LogEvent event;
    event.score = number(data, "score");
    event.log = log_;
    event.line = whole(data, "line");
    event.text = rate_text(data);
    events_.add_alone(std::move(event));
  }

 private:
  void add_event(const json& line) {
    const auto carried = record_text(text_, line);
    LogEvent event = event_of(line, carried, log_);
    event.time = time_of(carried, {});
    events_.add(std::move(event));
  }

  /// A line that its carrier split has several in the file; the score stands at the first. Before it may be
  /// lines of another stream's record, which is not complete.
  void write_lines(const json& line) {
    const std::uint64_t number = whole(line, "line"), start = whole(line, "start"), end = whole(line, "end");
    if (next_line_ < number) write(text_.text(next_byte_, start - 1), 0);
    write(text_.text(start, end), ::unroll::number(line, "score"));
    next_byte_ = end + 1;
  }
  void write(const std::string& text, double score) {
    for (std::size_t begin = 0; begin <= text.size(); score = 0) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      report_.line(next_line_++, score, std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
  }

  LogReport& report_;
  ReadText& text_;
  const std::size_t log_;
  LogEvents& events_;
  std::uint64_t next_line_ = 1, next_byte_ = 0;  ///< Of the log.
};

}  // namespace

bool is_alert(const json& line) {
  const auto alert = line.find("alert");
  return alert != line.end() && *alert == true;
}

std::unique_ptr<View> make_anomaly_view(const AnomalyViewOptions& options, ResultWriter& writer,
                                        const TextPlaces& places) {
  if (options.format == "ndjson") return std::make_unique<AnomalyLines>(options, writer, places);
  if (options.format == "json") return std::make_unique<AnomalyObject>(options, writer, places);
  return std::make_unique<AnomalyTable>(options, writer, places);
}

std::unique_ptr<View> make_report_view(LogReport& report, ReadText& text, std::size_t log,
                                       LogEvents& events) {
  return std::make_unique<ReportView>(report, text, log, events);
}

}  // namespace unroll
