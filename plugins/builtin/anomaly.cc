// anomaly: how unusual each line of a log is, given the lines before it; online and without labels
// (line_model.h). Options: `top`, the number of most unusual lines listed at the end; `top_window`, the
// number of lines after which they are also listed; `alert_rate`, alerts per thousand lines; `session`, the
// text before the word that names a line's session: then sessions are ranked as well (session_model.h).
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "plugins/builtin/alert_rate.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/line_model.h"
#include "plugins/builtin/line_severity.h"
#include "plugins/builtin/open_sessions.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/session_key.h"
#include "plugins/builtin/session_model.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/top_list.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll anomaly 4";
constexpr std::int64_t kMaxTop = 1000, kMaxWindow = 1'000'000'000;
constexpr double kLeastAlertRate = 0.01, kMaxAlertRate = 500;  // per thousand lines
constexpr std::size_t kKeptText = 512;                         // bytes of a line, for its shape and outputs
constexpr std::size_t kMaxMark = 64;                           // bytes of the option `session`

/// After a fork, lines and bytes before the document are numbered 0 and down, modulo 2^64. They are shown as
/// 0.
constexpr std::uint64_t own(std::uint64_t place) {
  return static_cast<std::int64_t>(place) < 0 ? 0 : place;
}

/// A line while it is read.
struct Line {
  std::uint64_t begin = 0, end = 0;  // end: without the newline
  std::uint64_t bytes = 0, tokens = 0;
  double nats = 0, highest = 0;  // sum over tokens, highest of one
  std::string text;              // its first kKeptText bytes

  void add_token(double token_nats) {
    ++tokens;
    nats += token_nats;
    highest = std::max(highest, token_nats);
  }
  LineSurprisal surprisal() const {
    return {nats, tokens == 0 ? 0.0 : nats / static_cast<double>(tokens), highest};
  }
  void visit(auto& archive) { archive(begin, end, bytes, tokens, nats, highest, text); }
};

struct Odd {
  double rank = 0;  // the score
  std::uint64_t line = 0, start = 0, end = 0;
  bool alert = false;
  std::string text;

  void visit(auto& archive) { archive(rank, line, start, end, alert, text); }
};

/// A closed session.
struct OddSession {
  double rank = 0;  // the score
  std::uint64_t lines = 0, first_line = 0, last_line = 0, start = 0, end = 0;
  std::string key;

  OddSession() = default;
  OddSession(double score, const Session& session)
      : rank(score),
        lines(session.lines),
        first_line(own(session.first_line)),
        last_line(own(session.last_line)),
        start(own(session.start)),
        end(own(session.end)),
        key(session.key) {}

  void write(JsonText& json) const {
    json.field("session", key).field("lines", lines).field("first_line", first_line);
    json.field("last_line", last_line).field("start", start).field("end", end).field("score", rank);
  }
  void visit(auto& archive) { archive(rank, lines, first_line, last_line, start, end, key); }
};

class Anomaly {
 public:
  static constexpr plugin::About kAbout{
      .name = "anomaly",
      .version = "4",
      .description = "Ranks the lines of a log by oddness, online, without labels",
      .wants = UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"top":{"type":"integer","minimum":0,"maximum":1000,"default":20},)"
      R"("session":{"type":"string","maxLength":64},)"
      R"("top_window":{"type":"integer","minimum":0,"maximum":1000000000,"default":0},)"
      R"("alert_rate":{"type":"number","minimum":0.01,"maximum":500}},"additionalProperties":false})";

  Anomaly(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    const TopList<Odd> top(static_cast<std::size_t>(options.integer("top", 20, 0, kMaxTop)));
    state_.top = state_.window_top = top;
    state_.top_sessions = TopList<OddSession>(top.capacity());
    mark_ = options.text("session", kMaxMark);
    window_ = static_cast<std::uint64_t>(options.integer("top_window", 0, 0, kMaxWindow));
    if (const auto rate = options.number("alert_rate", kLeastAlertRate, kMaxAlertRate)) {
      marks_alerts_ = true;
      state_.alert_rate = AlertRate(*rate / 1000);
    }
    options.done();
  }

  void process(const plugin::Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      state_.line.add_token(nats_of(block.logprobs()[i], block));
      auto offset = block.offsets()[i] - state_.head.size();
      for (const char c : std::exchange(state_.head, {})) take_byte(c, offset++);
      for (const char c : block.text(i)) take_byte(c, offset++);
    }
  }

  void finish(const plugin::End&) {
    const auto end = state_.line.begin + state_.line.bytes;
    if (own(end) > 0 && state_.line.bytes > 0) close_line(end);
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
    const auto closed = static_cast<std::uint64_t>(std::ranges::count(state_.head, '\n'));  // before line 1
    state_.open_sessions.shift(state_.lines + closed, point.bytes);
    state_.line.begin -= point.bytes;
    state_.line.end -= point.bytes;
    state_.lines = 0 - closed;
    state_.alerts = state_.sessions = 0;
    state_.top = state_.window_top = TopList<Odd>(state_.top.capacity());
    state_.top_sessions = TopList<OddSession>(state_.top_sessions.capacity());
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    load_state(state_, bytes, kTag);
    if (state_.top.size() > state_.top.capacity() ||
        state_.window_top.size() > state_.window_top.capacity() ||
        state_.top_sessions.size() > state_.top_sessions.capacity()) {
      throw plugin::StateError("the saved state was made with other options");
    }
  }

 private:
  struct State {
    std::uint64_t lines = 0, alerts = 0, sessions = 0;  // complete lines, alerts, closed sessions
    Line line;
    LineModel model;
    AlertRate alert_rate;
    TopList<Odd> top, window_top;
    OpenSessions open_sessions;
    SessionModel session_model;
    TopList<OddSession> top_sessions;
    std::string head;  // bytes before the document that begin the next token

    void visit(auto& archive) {
      archive(lines, alerts, sessions, line, model, alert_rate, top, window_top);
      archive(open_sessions, session_model, top_sessions);
      if constexpr (std::remove_reference_t<decltype(archive)>::kReads) {
        head.clear();
        if (!archive.at_end()) archive(head);
      } else if (!head.empty()) {
        archive(head);
      }
    }
  };

  void take_byte(char c, std::uint64_t offset) {
    auto& line = state_.line;
    ++line.bytes;
    if (c == '\n') {
      close_line(offset + 1);
    } else {
      if (c != '\r') line.end = offset + 1;
      if (line.text.size() < kKeptText) line.text.push_back(c);
    }
  }

  /// The next line begins at byte `next`.
  void close_line(std::uint64_t next) {
    const Line line = std::exchange(state_.line, Line{});
    state_.line.begin = state_.line.end = next;
    ++state_.lines;
    const auto text = std::string_view(line.text).substr(0, line.end - line.begin);
    const double score = state_.model.score(line_shape(text), line.surprisal(), line_severity(text));

    const bool alert = marks_alerts_ && state_.alert_rate.alerts(score);
    const bool is_own = own(state_.lines) > 0;
    if (is_own) report(line, text, score, alert);
    if (!mark_.empty()) add_to_session(line, text);
    if (is_own && window_ > 0 && state_.lines % window_ == 0) close_window();
  }

  void report(const Line& line, std::string_view text, double score, bool alert) {
    if (alert) ++state_.alerts;
    const auto start = own(line.begin), end = own(line.end);
    JsonText json;
    json.open('{').field("line", state_.lines).field("start", start).field("end", end);
    json.field("score", score);
    if (alert) json.field("alert", true);
    host_.emit(json.close('}').text());

    const auto offer = [&](TopList<Odd>& top) {
      if (!top.takes(score)) return;
      const auto shown = std::string(cut_utf8(text, kMaxShownText));
      top.add({score, state_.lines, start, end, alert, shown});
    };
    offer(state_.top);
    if (window_ > 0) offer(state_.window_top);
  }

  void add_to_session(const Line& line, std::string_view text) {
    const auto key = session_key(text, mark_);
    if (key.empty()) return;
    auto& open = state_.open_sessions;
    if (!open.has_room_for(key)) {
      Session longest_silent = open.take_longest_silent();
      close_session(longest_silent);
    }
    Session& session = open.of(key);
    if (session.lines == 0) {
      session.first_line = state_.lines;
      session.start = line.begin;
    }
    session.last_line = state_.lines;
    session.end = line.end;
    state_.session_model.add(session, line_shape(without_key(text, key)).whole);
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
    JsonText json;
    json.open('{').field("type", "window").field("first_line", state_.lines - window_ + 1);
    json.field("last_line", state_.lines);
    write_top(json, state_.window_top);
    host_.emit(json.close('}').text());
    state_.window_top = TopList<Odd>(state_.window_top.capacity());
  }

  static void write_top(JsonText& json, const TopList<Odd>& top) {
    json.key("top").open('[');
    for (const auto& odd : top.best_first()) {
      json.open('{').field("line", odd.line).field("start", odd.start).field("end", odd.end);
      json.field("score", odd.rank);
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
  std::string mark_;          // empty: no sessions
  std::uint64_t window_ = 0;  // lines; 0: none
  bool marks_alerts_ = false;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Anomaly);
