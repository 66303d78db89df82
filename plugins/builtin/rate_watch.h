// When lines come: a kind of line that came regularly and stopped, one that comes far more often than it
// used to, a log that was silent. Needs the lines' times. Constant memory; the same lines give the same
// events.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unroll/plugin.hpp"

#include "plugins/builtin/json_text.h"

namespace unroll::builtin {

/// What is unusual about when lines come.
struct RateEvent {
  enum class Kind : std::uint8_t { kStopped, kMore, kSilent };
  Kind kind = Kind::kStopped;
  double score = 0;
  double seconds = 0;  ///< Without such a line; for kMore: in which `count` came.
  double usual = 0;    ///< The longest pause before; for kMore: the most in so many seconds.
  std::uint64_t count = 0;
  std::string text;  ///< The last line of the kind.

  static const char* name(Kind kind) {
    return kind == Kind::kStopped ? "stopped" : kind == Kind::kMore ? "more" : "silent";
  }
};

/// How often lines come, of one kind or all.
class Rate {
 public:
  /// A line comes, at a time on a clock that only rises.
  void arrive(double now) {
    if (count_ == 0) first_ = window_ = now;
    const double pause = count_ == 0 ? 0 : now - last_;
    count_ = std::min(count_ + 1, kHorizon);
    if (count_ > 1) mean_ += (pause - mean_) / std::min<double>(count_ - 1, kHorizon);
    longest_ = std::max(pause, longest_ * kept_after(pause));
    last_ = now;
    is_silent_ = false;
  }

  /// Its absence until now, divided by its longest one before. 0 if the absence is not unusual, or was
  /// reported.
  double absence(double now) {
    const double away = now - last_;
    if (is_silent_ || count_ < kFewest || now - first_ < kHistory * away) return 0;
    if (away < kTimes * longest_ || away < kLeastMissed * mean_ || away < kLeastPause) return 0;
    is_silent_ = true;
    return away / std::max(longest_, kLeastPause / kTimes);
  }

  /// Counts a line in the window of a minute that holds `now`. Returns the window's count divided by the
  /// highest one before. 0 if the count is not unusual, or was reported.
  double excess(double now) {
    if (now - window_ >= kWindow) {
      const double windows = std::floor((now - window_) / kWindow);
      in_window_rate_ += (in_window_ - in_window_rate_) / std::min<double>(++windows_, kWindows);
      most_ = std::max<double>(in_window_, most_ * kept_after(windows * kWindow));
      window_ += windows * kWindow;
      is_high_ = is_high_ && in_window_ > 2 * in_window_rate_;
      in_window_ = 0;
    }
    ++in_window_;
    const double before = std::max(most_, 1.0);
    if (is_high_ || windows_ < kFewestWindows || in_window_ < kTimes * before + kLeastExcess) return 0;
    // Nats by which a Poisson process of the usual rate makes that less likely than one of this rate.
    const double usual = std::max(in_window_rate_, 1.0);
    if (in_window_ * std::log(in_window_ / usual) - (in_window_ - usual) < kLeastNats) return 0;
    is_high_ = true;
    return in_window_ / before;
  }

  /// A pause of this length is usual from now on.
  void allow(double pause) { longest_ = std::max(longest_, pause); }

  double away(double now) const { return now - last_; }
  double longest() const { return longest_; }
  double most() const { return most_; }
  std::uint64_t in_window() const { return in_window_; }
  std::uint32_t count() const { return count_; }
  static constexpr double kWindow = 60;  // seconds

  void visit(auto& archive) {
    archive(count_, first_, last_, mean_, longest_, is_silent_);
    archive(window_, in_window_, windows_, in_window_rate_, most_, is_high_);
  }

 private:
  static constexpr std::uint32_t kHorizon = 10'000, kFewest = 30, kFewestWindows = 10, kWindows = 1440;
  static constexpr double kTimes = 3;            // longer, or more, than ever before
  static constexpr double kLeastMissed = 10;     // mean pauses
  static constexpr double kLeastPause = 5;       // seconds
  static constexpr double kHistory = 5;          // the history must be so many times as long as the pause
  static constexpr double kForget = 14 * 86400;  // seconds
  static constexpr double kLeastExcess = 10, kLeastNats = 20;

  /// The longest pause and the highest count are forgotten slowly, so that they follow a log that changes,
  /// and know nights and weekends.
  static double kept_after(double seconds) { return std::exp(-seconds / kForget); }

  std::uint32_t count_ = 0;
  double first_ = 0, last_ = 0, mean_ = 0, longest_ = 0;
  bool is_silent_ = false;
  double window_ = 0;
  std::uint32_t in_window_ = 0, windows_ = 0;
  double in_window_rate_ = 0, most_ = 0;
  bool is_high_ = false;
};

class RateWatch {
 public:
  /// A line of this shape at this time, if it states one. Returns what is unusual.
  std::vector<RateEvent> look(std::uint64_t shape, std::string_view text, std::optional<double> time) {
    std::vector<RateEvent> events;
    if (!time) return events;
    advance(*time, events);
    Kind& kind = of(shape);
    if (kind.rate.count() % kBetweenTexts == 0) kind.text = cut_utf8(text, kMostText);
    kind.rate.arrive(now_);
    if (const double excess = kind.rate.excess(now_); excess > 0)
      events.push_back({RateEvent::Kind::kMore, score_of(excess), Rate::kWindow, kind.rate.most(),
                        kind.rate.in_window(), kind.text});
    return events;
  }

  /// What follows is another log of the same kind: its first time continues the clock.
  void begin_log() { started_ = false; }

  void visit(auto& archive) {
    archive(started_, told_, now_, looked_, all_, kinds_);
    if (kinds_.size() > kMostKinds) throw plugin::StateError("the saved state is damaged");
  }

 private:
  static constexpr std::size_t kMostKinds = 192, kMostText = 120;
  static constexpr std::uint32_t kBetweenTexts = 1000;
  static constexpr double kBack = 3600;  // seconds; a time that is farther back begins a new clock
  static constexpr double kAt = 5;       // the score of an event at the limit

  struct Kind {
    std::uint64_t shape = 0;
    Rate rate;
    std::string text;
    void visit(auto& archive) { archive(shape, rate, text); }
  };

  static double score_of(double times) { return kAt + std::log2(std::max(times, 1.0)); }

  /// Moves the clock, which only rises, and does not jump: a time of day begins again at midnight, clocks are
  /// set, lines come out of order. Of a log that was silent, the clock skips the silence, because the kinds
  /// of its lines did not stop one by one.
  void advance(double time, std::vector<RateEvent>& events) {
    if (!std::exchange(started_, true)) told_ = time;
    double step = time - told_;
    if (step > 0 || step < -kBack) told_ = time;
    step = std::max(step, 0.0);
    if (const double absence = all_.absence(now_ + step); absence > 0) {
      events.push_back({RateEvent::Kind::kSilent, score_of(absence), step, all_.longest(), 0, ""});
      all_.allow(step);
    } else {
      now_ += step;
    }
    all_.arrive(now_);
    if (now_ - looked_ < 1) return;
    looked_ = now_;
    for (Kind& kind : kinds_) {
      if (const double absence = kind.rate.absence(now_); absence > 0)
        events.push_back({RateEvent::Kind::kStopped, score_of(absence), kind.rate.away(now_),
                          kind.rate.longest(), 0, kind.text});
    }
  }

  /// The kind; of too many, the one that was absent longest relative to its count is dropped.
  Kind& of(std::uint64_t shape) {
    const auto known =
        std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& kind) { return kind.shape == shape; });
    if (known != kinds_.end()) return *known;
    if (kinds_.size() < kMostKinds) return kinds_.emplace_back(Kind{shape, {}, ""});
    const auto worth = [&](const Kind& kind) { return (1 + kind.rate.away(now_)) / (1 + kind.rate.count()); };
    Kind& least = *std::max_element(kinds_.begin(), kinds_.end(),
                                    [&](const Kind& a, const Kind& b) { return worth(a) < worth(b); });
    return least = Kind{shape, {}, ""};
  }

  bool started_ = false;
  double told_ = 0;    ///< The last time that a line stated.
  double now_ = 0;     ///< The clock.
  double looked_ = 0;  ///< When absent kinds were looked for.
  Rate all_;
  std::vector<Kind> kinds_;
};

}  // namespace unroll::builtin
