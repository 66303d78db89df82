#include "client/logs/judge.h"

#include <algorithm>
#include <utility>

#include "client/cli/text.h"
#include "client/views/rate_text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::ordered_json;

constexpr double kMostDistance = 10, kEachSeverity = 2.5;
constexpr double kFullSeverityFrom = 0.33;  // distance from which severity counts fully
constexpr double kOdd = 1;                  // score from which a line is listed and has context
constexpr std::size_t kMostEvents = 20'000;
constexpr std::size_t kMostText = 4096;  // bytes of a text in an output
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
    : options_(std::move(options)), writer_(writer) {
  if (options_.format == "html") report_.emplace(writer, title);
}

void JudgeView::begin_log(const std::string& file) {
  file_ = file;
  ++logs_;
  if (report_) report_->begin_log(file);
  before_.clear();
}

void JudgeView::line(const LogRecord& record, const Judgement& judgement) {
  lines_ += record.lines;
  const bool odd = judgement.score() >= kOdd;
  if (odd) add_event(record, judgement);
  if (report_) report_->line(record.line, judgement.score(), record.text);
  if (options_.format == "text" || report_) return;
  add_context(object_of(record, judgement), record.text, odd);
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
    emit_waiting(0);
    emit(object);
  } else if (options_.format == "json") {
    rates_.push_back(std::move(object));
  } else if (events_.size() < kMostEvents) {
    Event event = event_at(record);
    event.score = rate.score;
    event.text = rate_text(object);
    events_.push_back(std::move(event));
  }
}

JudgeView::Event JudgeView::event_of(const LogRecord& record, const Judgement& judgement) const {
  Event event = event_at(record);
  event.score = judgement.score();
  event.text = record.text.substr(0, kMostText);
  event.known = judgement.known;
  event.parts = parts_of(judgement);
  if (options_.format == "json") event.object = object_of(record, judgement);
  if (judgement.number.bonus > 0) event.text += range_text(number_of(judgement.number));
  return event;
}

/// Without what it says.
JudgeView::Event JudgeView::event_at(const LogRecord& record) const {
  Event event;
  event.order = events_.size();
  event.file = file_;
  event.time = record.time;
  event.log = logs_ - 1;
  event.line = record.line;
  return event;
}

/// Lines with the same words are one event, which shows the oddest of them.
void JudgeView::add_event(const LogRecord& record, const Judgement& judgement) {
  const auto [known, is_new] = event_by_words_.try_emplace(line_key(line_words(record.text)), events_.size());
  if (!is_new) {
    Event& event = events_[known->second];
    const std::uint64_t count = event.count + 1, order = event.order;
    if (judgement.score() > event.score) event = event_of(record, judgement);
    event.count = count;
    event.order = order;
  } else if (events_.size() < kMostEvents) {
    events_.push_back(event_of(record, judgement));
  } else {
    event_by_words_.erase(known);
  }
}

/// Holds odd lines back until the lines that follow them are known.
void JudgeView::add_context(ordered_json object, const std::string& text, bool odd) {
  if (options_.context == 0) return emit(object);
  const std::string kept = text.substr(0, kMostText);
  for (Waiting& each : waiting_) {
    if (each.after.size() < each.wanted) each.after.push_back(kept);
  }
  Waiting waiting{std::move(object), odd ? options_.context : 0, {}};
  if (odd) waiting.object["context"]["before"] = before_;
  waiting_.push_back(std::move(waiting));
  before_.push_back(kept);
  if (before_.size() > options_.context) before_.pop_front();
  emit_waiting(options_.context);
}

void JudgeView::emit_waiting(std::size_t keep) {
  while (waiting_.size() > keep) {
    Waiting& first = waiting_.front();
    if (first.wanted > 0) first.object["context"]["after"] = first.after;
    emit(first.object);
    waiting_.pop_front();
  }
}

void JudgeView::emit(const ordered_json& object) {
  if (options_.format == "json") writer_.write(objects_++ == 0 ? "{\"lines\":[\n" : ",\n");
  writer_.write(to_line(object));
  if (options_.format == "ndjson") writer_.end_line();
}

std::vector<const JudgeView::Event*> JudgeView::best() const {
  std::vector<const Event*> best;
  for (const Event& event : events_) best.push_back(&event);
  std::sort(best.begin(), best.end(), [](const Event* a, const Event* b) {
    return a->score != b->score ? a->score > b->score : a->order < b->order;
  });
  best.resize(std::min(best.size(), options_.top));
  return best;
}

void JudgeView::finish(std::uint64_t known_lines) {
  if (options_.format == "text") return write_table(known_lines);
  if (report_) return write_events(known_lines);
  if (options_.format == "ndjson") return;
  ordered_json top = ordered_json::array();
  for (const Event* event : best()) {
    top.push_back(event->object);
    top.back()["count"] = event->count;
  }
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

void JudgeView::write_events(std::uint64_t known_lines) {
  std::vector<ReportEvent> events;
  for (const Event* event : best()) {
    events.push_back({event->score, event->count, event->log, event->line, event->text, event->time,
                      event->known, event->parts});
  }
  report_->finish(summary(known_lines), events);
}

void JudgeView::write_table(std::uint64_t known_lines) {
  const Terminal& terminal = writer_.terminal();
  writer_.write(bold(terminal, summary(known_lines)) + "\n");
  const auto shown = best();
  if (shown.empty()) return;
  writer_.write(dim(terminal, "   score  times  line") + "\n");
  const auto fitting = [&](const std::string& text, std::size_t before) {
    return terminal.present ? cut(one_line(text), terminal.width - before) : one_line(text);
  };
  for (const Event* event : shown) {
    const double heat = heat_of(event->score, kOdd, kHottest);
    writer_.write(heated(terminal, heat, right(fixed(event->score, 2), 8)) + "  " +
                  right(with_thousands(event->count), 5) + "  " + one_line(event->file) + ":" +
                  std::to_string(event->line) + "\n");
    writer_.write(std::string(10, ' ') + fitting(event->text, 10) + "\n");
    if (!event->known.empty()) writer_.write(dim(terminal, "   known: " + fitting(event->known, 10)) + "\n");
  }
}

}  // namespace unroll
