// What the plugin anomaly remembers, and how it is saved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/alert_rate.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/line_model.h"
#include "plugins/builtin/log_line.h"
#include "plugins/builtin/number_ranges.h"
#include "plugins/builtin/open_sessions.h"
#include "plugins/builtin/rate_watch.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/traces.h"
#include "plugins/builtin/session_model.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/top_list.h"

namespace unroll::builtin {

/// After a fork, lines and bytes before the document are numbered 0 and down, modulo 2^64. They are shown as
/// 0.
constexpr std::uint64_t own(std::uint64_t place) {
  return static_cast<std::int64_t>(place) < 0 ? 0 : place;
}

/// A record: a line and the lines that continue it.
struct Odd {
  double rank = 0;                    // the highest score of its lines
  std::uint64_t line = 0, lines = 0;  // its first, and how many; 0: none
  std::uint64_t start = 0, end = 0;
  bool alert = false;
  std::string text;

  void visit(auto& archive) { archive(rank, line, lines, start, end, alert, text); }
};

/// As version 4 saved it.
struct OddLine {
  Odd odd;
  void visit(auto& archive) {
    archive(odd.rank, odd.line, odd.start, odd.end, odd.alert, odd.text);
    odd.lines = 1;
  }
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

struct AnomalyState {
  std::uint64_t lines = 0, alerts = 0, sessions = 0;  // complete lines, alerts, closed sessions
  std::uint64_t window_begin = 0;                     // lines in earlier windows
  LogLine line;
  Odd record;                  // the last one, which the next line may continue
  records::RecordFacts facts;  // its
  records::Traces traces;
  LineModel model;
  AlertRate alert_rate;
  TopList<Odd> top, window_top;
  OpenSessions open_sessions;
  SessionModel session_model;
  TopList<OddSession> top_sessions;
  std::string head;  // bytes before the document that begin the next token
  NumberRanges numbers;
  bool watches_numbers = true;
  RateWatch rates;
  bool watches_rates = true;

  std::string save() const { return save_state(*this, kTag); }
  /// Throws plugin::StateError; then nothing has changed.
  void load(std::span<const std::byte> bytes) {
    AnomalyState state = *this;
    if (has_tag(bytes, kTag4)) {
      state.load_version_4(bytes);
    } else if (has_tag(bytes, kTag5)) {
      state.load_older(bytes, kTag5);
    } else if (has_tag(bytes, kTag6)) {
      state.load_older(bytes, kTag6);
    } else if (has_tag(bytes, kTag7)) {
      state.load_older(bytes, kTag7);
    } else if (has_tag(bytes, kTag8)) {
      state.load_older(bytes, kTag8);
    } else {
      load_state(state, bytes, kTag);
    }
    if (state.top.size() > state.top.capacity() || state.window_top.size() > state.window_top.capacity() ||
        state.top_sessions.size() > state.top_sessions.capacity()) {
      throw plugin::StateError("the saved state was made with other options");
    }
    *this = std::move(state);
  }

  void visit(auto& archive) {
    visit_version_8(archive);
    line.visit_parts(archive);
  }

 private:
  static constexpr std::string_view kTag = "unroll anomaly 9";
  // Documents that were begun with these go on.
  static constexpr std::string_view kTag8 = "unroll anomaly 8", kTag7 = "unroll anomaly 7",
                                    kTag6 = "unroll anomaly 6", kTag5 = "unroll anomaly 5",
                                    kTag4 = "unroll anomaly 4";

  void visit_version_8(auto& archive) {
    visit_version_7(archive);
    model.visit_levels(archive);
  }
  void visit_version_7(auto& archive) {
    visit_version_6(archive);
    line.visit_time(archive);
    archive(rates, watches_rates);
  }

  void visit_version_6(auto& archive) {
    visit_version_5(archive);
    line.visit_word(archive);
    archive(numbers, watches_numbers);
  }
  void visit_version_5(auto& archive) {
    archive(lines, alerts, sessions, line, record, facts.severity, facts.has_level, traces, model);
    archive(window_begin, alert_rate, top, window_top);
    archive(open_sessions, session_model, top_sessions, head);
  }

  /// Version 4 knew no records, and kept a line's first bytes as they were.
  void load_version_4(std::span<const std::byte> bytes) {
    watches_numbers = watches_rates = false;
    model.assume_levels();
    StateReader reader(bytes, kTag4);
    std::uint64_t begin = 0, end = 0, taken = 0, tokens = 0;
    double nats = 0, highest = 0;
    std::string text;
    reader(lines, alerts, sessions, begin, end, taken, tokens, nats, highest, text);
    reader(model, alert_rate);
    line = LogLine(begin, end, taken, {tokens, nats, highest}, text);
    for (auto* list : {&top, &window_top}) {
      std::vector<OddLine> odd_lines;
      reader(odd_lines);
      for (auto& odd : odd_lines) list->add(std::move(odd.odd));
    }
    reader(open_sessions, session_model, top_sessions);
    if (!reader.at_end()) reader(head);
    reader.done();
  }

  /// Version 5 knew no ranges of numbers, version 6 no rates. Their documents go on without, so that their
  /// scores do not jump.
  void load_older(std::span<const std::byte> bytes, std::string_view tag) {
    StateReader reader(bytes, tag);
    read_older(reader, tag);
    reader.done();
    line.assume_parts();
  }
  void read_older(StateReader& reader, std::string_view tag) {
    if (tag == kTag8) return visit_version_8(reader);
    model.assume_levels();
    if (tag == kTag7) return visit_version_7(reader);
    watches_rates = false;
    if (tag == kTag6) return visit_version_6(reader);
    watches_numbers = false;
    visit_version_5(reader);
  }
};

}  // namespace unroll::builtin
