// anomaly: how unusual each line of a log is, given the lines before it; online and without labels
// (line_model.h). Options: `top`, the number of most unusual lines listed at the end; `top_window`, the
// number of lines after which they are also listed; `alert_rate`, alerts per thousand lines; `session`, the
// text before the word that names a line's session: then sessions are ranked as well (session_model.h);
// `numbers`, whether numbers far out of their field's range count (number_ranges.h); `rates`, whether it
// matters how often lines come (rate_watch.h), and `time_format`, the form of their times; `parts`, whether
// each line says what its score is made of.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/anomaly_state.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/times.h"
#include "plugins/builtin/records/traces.h"
#include "plugins/builtin/session_key.h"

namespace unroll::builtin {
namespace {

using records::LinePlace;

constexpr std::int64_t kMaxTop = 1000, kMaxWindow = 1'000'000'000;
constexpr double kLeastAlertRate = 0.01, kMaxAlertRate = 500;  // per thousand lines
constexpr std::size_t kMaxMark = 64, kMaxTimeFormat = 64;      // bytes of options
// The log-probability of a token that the model did not read (client/logs/budgeted_log.h): no token has it.
constexpr float kUnread = 1;

class Anomaly {
 public:
  static constexpr plugin::About kAbout{
      .name = "anomaly",
      .version = "9",
      .description = "Ranks the lines of a log by oddness, online, without labels",
      .wants = UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"top":{"type":"integer","minimum":0,"maximum":1000,"default":20},)"
      R"("session":{"type":"string","maxLength":64},"numbers":{"type":"boolean","default":true},)"
      R"("rates":{"type":"boolean","default":true},"time_format":{"type":"string","maxLength":64},)"
      R"("parts":{"type":"boolean","default":false},)"
      R"("top_window":{"type":"integer","minimum":0,"maximum":1000000000,"default":0},)"
      R"("alert_rate":{"type":"number","minimum":0.01,"maximum":500}},"additionalProperties":false})";

  Anomaly(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    const TopList<Odd> top(static_cast<std::size_t>(options.integer("top", 20, 0, kMaxTop)));
    state_.top = state_.window_top = top;
    state_.top_sessions = TopList<OddSession>(top.capacity());
    mark_ = options.text("session", kMaxMark);
    state_.watches_numbers = options.flag("numbers", true);
    state_.watches_rates = options.flag("rates", true);
    time_format_ = records::TimeFormat(options.text("time_format", kMaxTimeFormat));
    tells_parts_ = options.flag("parts", false);
    window_ = static_cast<std::uint64_t>(options.integer("top_window", 0, 0, kMaxWindow));
    if (const auto rate = options.number("alert_rate", kLeastAlertRate, kMaxAlertRate)) {
      marks_alerts_ = true;
      state_.alert_rate = AlertRate(*rate / 1000);
    }
    options.done();
  }

  void process(const plugin::Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      const std::string bytes = std::exchange(state_.head, {}) + std::string(block.text(i));
      const float logprob = block.logprobs()[i];
      state_.line.add_token(logprob == kUnread ? -1 : nats_of(logprob, block), bytes);
      auto offset = block.offsets()[i + 1] - bytes.size();
      for (const char c : bytes) {
        if (state_.line.take(c, offset++)) close_line(offset);
      }
    }
  }

  void finish(const plugin::End&) {
    if (own(state_.line.taken()) > 0 && state_.line.finish()) close_line(state_.line.taken());
    close_record();
    for (auto& session : state_.open_sessions.take_all()) close_session(session);
    JsonText json;
    json.open('{').field("type", "document").field("lines", own(state_.lines));
    if (marks_alerts_) json.field("alerts", state_.alerts);
    write_top(json, state_.top);
    if (!mark_.empty()) write_top_sessions(json);
    host_.emit(json.close('}').text());
  }

  /// What is usual stays, and so do the line that the document before left open and the sessions: they go on
  /// in this one, which reports those of which it has a part.
  void fork(const plugin::Fork& point) {
    state_.head += point.head;
    // Before line 1: what the head completes, and the parts that the open line has already.
    const auto closed =
        static_cast<std::uint64_t>(std::ranges::count(state_.head, '\n')) + state_.line.taken_lines();
    state_.open_sessions.shift(state_.lines + closed, point.bytes);
    state_.line.shift(point.bytes);
    state_.record.line = 0;  // it is not this document's, but the next lines may continue it
    state_.lines = 0 - closed;
    state_.window_begin = 0;
    state_.alerts = state_.sessions = 0;
    state_.top = state_.window_top = TopList<Odd>(state_.top.capacity());
    state_.top_sessions = TopList<OddSession>(state_.top_sessions.capacity());
  }

  std::string save() const { return state_.save(); }
  void load(std::span<const std::byte> bytes) { state_.load(bytes); }

 private:
  /// The next line begins at byte `next`.
  void close_line(std::uint64_t next) {
    const LogLine line = std::exchange(state_.line, state_.line.next(next));
    const std::uint64_t before = state_.lines, last = before + line.taken_lines();
    const std::uint64_t first = before + line.first();
    state_.lines = last;
    const auto facts = records::record_facts(line.text(), line.carrier_level());
    const auto place = place_of(line);
    if (place == LinePlace::kRecord) begin_record(line, first, facts);

    // Of a trace, only what its first line or its exception says counts.
    const bool says = place == LinePlace::kRecord || (place == LinePlace::kTrace && !state_.facts.has_level);
    const LineShape shape = line_shape(line.text(), facts.severity);
    OddNumber number;
    if (state_.watches_numbers && place != LinePlace::kFrame)
      number = state_.numbers.look(line.text(), shape.head);
    LineScore score = state_.model.score(
        shape, line.surprisal(), {says ? facts.severity : 0, facts.has_level, facts.detail, number.bonus});
    if (place == LinePlace::kFrame && score.total > state_.record.rank)
      score.scale(state_.record.rank / score.total);
    const bool alert = add_to_record(line, place, score.total);
    if (own(last) > 0) report(line, {first, place, score, alert}, number);
    if (state_.watches_rates && place == LinePlace::kRecord) look_at_rates(line, first, shape.whole);
    if (!mark_.empty()) add_to_session(line, first, last);
    if (window_ > 0 && own(last) / window_ > own(before) / window_) close_window();
  }

  struct Reported {
    std::uint64_t line = 0;
    LinePlace place = LinePlace::kRecord;
    LineScore score;
    bool alert = false;
  };
  void report(const LogLine& line, const Reported& what, const OddNumber& number) {
    if (what.alert) ++state_.alerts;
    JsonText json;
    json.open('{').field("line", own(what.line)).field("start", own(line.begin()));
    json.field("end", own(line.end())).field("score", what.score.total);
    if (line.lines() > 1) json.field("lines", line.lines());
    if (line.from() != line.begin()) json.field("from", own(line.from()));
    if (what.place != LinePlace::kRecord) json.field("record", state_.record.line);
    if (line.is_cut()) json.field("cut", true);
    if (what.alert) json.field("alert", true);
    if (number.bonus > 0) {
      json.key("number").open('{').field("value", number.value);
      json.field("low", number.low).field("high", number.high).close('}');
    }
    if (tells_parts_) {
      json.key("parts").open('{').field("surprisal", what.score.surprisal);
      json.field("novelty", what.score.novelty).field("numbers", what.score.numbers);
      json.field("severity", what.score.severity).close('}');
    }
    if (line.text().size() > kMaxShownText) json.field("odd", own(line.odd_byte()));
    host_.emit(json.close('}').text());
  }

  void look_at_rates(const LogLine& line, std::uint64_t number, std::uint64_t shape) {
    const auto time = time_format_.empty() ? records::seconds_of(line.carrier_time().empty()
                                                                     ? records::record_time(line.text())
                                                                     : line.carrier_time())
                                           : time_format_.find(line.text());
    for (const RateEvent& event : state_.rates.look(shape, line.text(), time)) {
      if (own(number) == 0) continue;
      JsonText json;
      json.open('{').field("type", "rate").field("rate", RateEvent::name(event.kind));
      json.field("line", number).field("start", own(line.begin())).field("end", own(line.end()));
      json.field("score", event.score).field("seconds", event.seconds).field("usual", event.usual);
      if (event.count > 0) json.field("count", event.count);
      if (!event.text.empty()) json.field("text", event.text);
      if (marks_alerts_ && state_.alert_rate.alerts(event.score)) {
        ++state_.alerts;
        json.field("alert", true);
      }
      host_.emit(json.close('}').text());
    }
  }

  LinePlace place_of(const LogLine& line) {
    const auto place = state_.traces.next(records::after_header(line.text()), state_.facts.severity > 0);
    return state_.record.lines == 0 ? LinePlace::kRecord : place;
  }

  void begin_record(const LogLine& line, std::uint64_t number, const records::RecordFacts& facts) {
    close_record();
    state_.facts = facts;
    const auto at = facts.has_level && facts.severity > 0 ? facts.level_at : line.odd_at();
    state_.record = {
        0, own(number), 0, own(line.begin()), own(line.end()), false, shown_of_long(line.text(), at)};
  }

  /// Returns whether the line is an alert. A record is one at most once.
  bool add_to_record(const LogLine& line, LinePlace place, double score) {
    Odd& record = state_.record;
    const bool first = record.lines == 0;
    record.lines += line.lines();
    record.end = own(line.end());
    record.rank = first ? score : std::max(record.rank, score);
    if (place == LinePlace::kFrame) return false;
    if (!first && record.text.size() < kMaxShownText)
      record.text = cut_utf8(record.text + " | " + std::string(line.text()), kMaxShownText);
    const bool alert = marks_alerts_ && !record.alert && state_.alert_rate.alerts(score);
    record.alert = record.alert || alert;
    return alert;
  }

  /// The record has all its lines.
  void close_record() {
    Odd record = std::exchange(state_.record, Odd{});
    if (record.line == 0) return;  // none, or one before this document
    if (record.line > state_.window_begin && window_ > 0) state_.window_top.add(record);
    state_.top.add(std::move(record));
  }

  void add_to_session(const LogLine& line, std::uint64_t first, std::uint64_t last) {
    const auto key = session_key(line.text(), mark_);
    if (key.empty()) return;
    auto& open = state_.open_sessions;
    if (!open.has_room_for(key)) {
      Session longest_silent = open.take_longest_silent();
      close_session(longest_silent);
    }
    Session& session = open.of(key);
    if (session.lines == 0) {
      session.first_line = first;
      session.start = line.begin();
    }
    session.last_line = last;
    session.end = line.end();
    state_.session_model.add(session, line_shape(without_key(line.text(), key)).whole);
  }

  void close_session(Session& session) {
    const OddSession closed(state_.session_model.close(session), session);
    if (closed.last_line == 0) return;  // all of it was before this document
    ++state_.sessions;
    JsonText json;
    json.open('{').field("type", "session");
    closed.write(json);
    host_.emit(json.close('}').text());
    state_.top_sessions.add(closed);
  }

  void close_window() {
    if (state_.record.line > state_.window_begin) state_.window_top.add(state_.record);
    JsonText json;
    json.open('{').field("type", "window").field("first_line", state_.window_begin + 1);
    json.field("last_line", state_.lines);
    state_.window_begin = state_.lines;
    write_top(json, state_.window_top);
    host_.emit(json.close('}').text());
    state_.window_top = TopList<Odd>(state_.window_top.capacity());
  }

  static void write_top(JsonText& json, const TopList<Odd>& top) {
    json.key("top").open('[');
    for (const auto& odd : top.best_first()) {
      json.open('{').field("line", odd.line).field("start", odd.start).field("end", odd.end);
      json.field("score", odd.rank);
      if (odd.lines > 1) json.field("lines", odd.lines);
      if (odd.alert) json.field("alert", true);
      json.field("text", odd.text).close('}');
    }
    json.close(']');
  }

  void write_top_sessions(JsonText& json) const {
    json.field("sessions", state_.sessions).key("top_sessions").open('[');
    for (const auto& session : state_.top_sessions.best_first()) {
      json.open('{');
      session.write(json);
      json.close('}');
    }
    json.close(']');
  }

  plugin::Host host_;
  std::string mark_;  // empty: no sessions
  records::TimeFormat time_format_;
  std::uint64_t window_ = 0;  // lines; 0: none
  bool marks_alerts_ = false, tells_parts_ = false;
  AnomalyState state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Anomaly);
