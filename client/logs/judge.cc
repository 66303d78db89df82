#include "client/logs/judge.h"

#include <algorithm>
#include <utility>

#include "client/cli/text.h"
#include "client/views/event_text.h"
#include "client/views/rate_text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::ordered_json;

constexpr double kMostDistance = 10, kEachSeverity = 2.5;
constexpr double kFullSeverityFrom = 0.33;  // distance from which severity counts fully
constexpr double kOdd = 1;                  // score from which a line is listed and has context
constexpr std::size_t kMostText = 4096;     // bytes of a text in an output
constexpr double kHottest = 10;

/// For people.
std::string parts_of(const Judgement& judgement) {
  std::string parts = "distance " + fixed(judgement.distance, 1);
  if (judgement.severity > 0) parts += " + severity " + fixed(judgement.severity, 1);
  if (judgement.number.bonus > 0) parts += " + number " + fixed(judgement.number.bonus, 1);
  return parts;
}

}  // namespace

ordered_json number_of(const builtin::OddNumber& number) {
  return {{"value", number.value}, {"low", number.low}, {"high", number.high}};
}

Judgement judge(GoodLog& good, const LogRecord& record, const IgnoreRules& rules,
                const JudgeOptions& options) {
  const KnownLines::Nearest nearest = good.lines.nearest(record.text);
  Judgement judgement;
  judgement.distance = kMostDistance * nearest.distance;
  if (nearest.line != nullptr) judgement.known = nearest.line->text;
  const int usual = nearest.line == nullptr ? 0 : nearest.line->severity;
  const double weight = std::min(1.0, nearest.distance / kFullSeverityFrom);
  // A known text at a new level (klog, a number in JSON) is odd as well.
  const bool is_new_level = nearest.distance == 0 && record.facts.has_level && record.facts.severity > usual;
  if (record.facts.severity > usual && nearest.line != nullptr)
    judgement.severity = kEachSeverity * (record.facts.severity - usual) * (is_new_level ? 1 : weight);
  if (nearest.line == nullptr && nearest.distance > 0)
    judgement.severity = kEachSeverity * record.facts.severity;
  if (options.numbers && nearest.distance == 0) judgement.number = good.habits.odd_number(record);
  if (judgement.score() > 0) judgement.ignored_by = rules.rule_for(record.text);
  return judgement;
}

JudgeView::JudgeView(JudgeOptions options, ResultWriter& writer, const std::string& title)
    : options_(std::move(options)),
      writer_(writer),
      events_(options_.top),
      context_(options_.context, [this](const ordered_json& object) { emit(object); }) {
  if (options_.format == "html") report_.emplace(writer, title);
}

void JudgeView::begin_log(const std::string& file) {
  file_ = file;
  ++logs_;
  if (report_) report_->begin_log(file);
  context_.begin_log();
}

void JudgeView::line(const LogRecord& record, const Judgement& judgement) {
  lines_ += record.lines;
  const bool odd = judgement.score() >= kOdd;
  if (odd) add_event(record, judgement);
  if (report_) report_->line(record.line, judgement.score(), record.text);
  if (options_.format == "text" || report_) return;
  context_.add(object_of(record, judgement), record.text.substr(0, kMostText), odd);
}

ordered_json JudgeView::object_of(const LogRecord& record, const Judgement& judgement) const {
  ordered_json object;
  object["file"] = file_;
  object["line"] = record.line;
  object["start"] = record.start;
  object["end"] = record.end;
  object["score"] = judgement.score();
  if (record.lines > 1) object["lines"] = record.lines;
  if (record.place != records::LinePlace::kRecord) object["record"] = record.record;
  if (!record.time.empty()) object["time"] = record.time;
  object["text"] = record.text.substr(0, kMostText);
  object["parts"] = {{"distance", judgement.distance},
                     {"severity", judgement.severity},
                     {"numbers", judgement.number.bonus}};
  if (judgement.number.bonus > 0) object["number"] = number_of(judgement.number);
  if (judgement.ignored_by > 0) object["ignored_by"] = judgement.ignored_by;
  object["known"] = judgement.known.empty() ? ordered_json() : ordered_json(judgement.known);
  return object;
}

void JudgeView::rate(const LogRecord& record, const builtin::RateEvent& rate) {
  ordered_json object = {{"type", "rate"}, {"rate", builtin::RateEvent::name(rate.kind)}};
  object["file"] = file_;
  object["line"] = record.line;
  object["start"] = record.start;
  object["end"] = record.end;
  object["score"] = rate.score;
  object["seconds"] = rate.seconds;
  object["usual"] = rate.usual;
  if (rate.count > 0) object["count"] = rate.count;
  if (!rate.text.empty()) object["text"] = rate.text;
  if (options_.format == "ndjson") {
    context_.flush();
    emit(object);
  } else if (options_.format == "json") {
    rates_.push_back(std::move(object));
  } else {
    LogEvent event = event_at(record);
    event.score = rate.score;
    event.text = rate_text(object);
    events_.add_alone(std::move(event));
  }
}

/// Without what it says.
LogEvent JudgeView::event_at(const LogRecord& record) const {
  LogEvent event;
  event.file = file_;
  event.time = record.time;
  event.log = logs_ - 1;
  event.line = record.line;
  if (record.place != records::LinePlace::kRecord) event.record = record.record;
  event.is_frame = record.place == records::LinePlace::kFrame;
  return event;
}

void JudgeView::add_event(const LogRecord& record, const Judgement& judgement) {
  if (!events_.wants(judgement.score())) return;
  LogEvent event = event_at(record);
  event.score = judgement.score();
  event.text = record.text.substr(0, kMostText);
  event.known = judgement.known;
  event.parts = parts_of(judgement);
  if (options_.format == "json") event.object = object_of(record, judgement);
  if (judgement.number.bonus > 0) event.odd_number = range_text(number_of(judgement.number));
  events_.add(std::move(event));
}

void JudgeView::emit(const ordered_json& object) {
  if (options_.format == "json") writer_.write(objects_++ == 0 ? "{\"lines\":[\n" : ",\n");
  writer_.write(to_line(object));
  if (options_.format == "ndjson") writer_.end_line();
}

void JudgeView::finish(std::uint64_t known_lines) {
  if (options_.format == "text") return write_table(known_lines);
  if (report_) return report_->finish(summary(known_lines), events_.best(options_.top));
  if (options_.format == "ndjson") return;
  ordered_json top = ordered_json::array();
  for (const LogEvent* event : events_.best(options_.top)) top.push_back(event_object(*event));
  writer_.write(objects_ == 0 ? "{\"lines\":[" : "");
  writer_.write("],\n\"top\":" + to_line(top));
  if (!rates_.empty()) writer_.write(",\n\"rates\":" + to_line(rates_));
  writer_.write("}");
  writer_.end_line();
}

std::string JudgeView::summary(std::uint64_t known_lines) const {
  return "New in " + with_thousands(lines_) + " lines, compared with " + with_thousands(known_lines) +
         " known ones: " + with_thousands(events_.size()) + (events_.size() == 1 ? " event" : " events");
}

void JudgeView::write_table(std::uint64_t known_lines) {
  const Terminal& terminal = writer_.terminal();
  writer_.write(bold(terminal, summary(known_lines)) + "\n");
  const auto shown = events_.best(options_.top);
  if (shown.empty()) return;
  writer_.write(dim(terminal, "   score  times  line") + "\n");
  for (const LogEvent* event : shown) {
    const double heat = heat_of(event->score, kOdd, kHottest);
    std::string place = one_line(event->file) + ":" + std::to_string(event->line);
    if (const std::string span = span_text(*event); !span.empty()) place += " (" + span + ")";
    writer_.write(heated(terminal, heat, right(fixed(event->score, 2), 8)) + "  " +
                  right(with_thousands(event->count), 5) + "  " + place + "\n");
    writer_.write(std::string(10, ' ') + fitting(terminal, event->told_text(), 10) + "\n");
    if (!event->known.empty())
      writer_.write(dim(terminal, "   known: " + fitting(terminal, event->known, 10)) + "\n");
    write_neighbours(writer_, *event, 10);
  }
}

}  // namespace unroll
