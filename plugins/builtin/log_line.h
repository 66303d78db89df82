// A line of a log while its bytes arrive: its text as a terminal shows it, without what its carrier wrote
// around it, and its surprisal. A line that its carrier split (CRI, docker) is one line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/line_model.h"
#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/terminal_text.h"

namespace unroll::builtin {

class LogLine {
 public:
  explicit LogLine(std::uint64_t begin = 0)
      : begin_(begin), end_(begin), taken_(begin), sums_{.odd_byte = begin} {}

  struct Tokens {
    std::uint64_t count = 0;
    double nats = 0, highest = 0;  ///< The sum, the highest of one.
  };
  /// A line of which `bytes` bytes are there, with this text.
  LogLine(std::uint64_t begin, std::uint64_t end, std::uint64_t bytes, const Tokens& tokens, std::string text)
      : begin_(begin),
        end_(end),
        taken_(begin + bytes),
        bytes_(bytes),
        sums_{tokens.count, tokens.nats, tokens.highest, 0, begin},
        shown_(std::move(text)) {}

  /// Before take() for each of the token's bytes. `nats`: negative if the model did not read the token.
  /// Tokens of escape sequences do not count, nor those within a very long word (a key, a body in base64):
  /// their surprisal says nothing of the line.
  void add_token(double nats, std::string_view bytes) {
    auto probe = terminal_;
    using Effect = records::TerminalText::Effect;
    const bool shows = std::any_of(bytes.begin(), bytes.end(), [&](char c) {
      if (c == '\n') return true;
      const Effect effect = probe.take(c);
      return effect == Effect::kShown || effect == Effect::kRestarts;
    });
    last_nats_ = shows && run_ < kOpaqueRun ? nats : -1;
    if (run_ == 0) before_word_ = sums_;
    count_token();
  }

  /// Takes the document's byte at `offset`; true if the line is complete.
  bool take(char c, std::uint64_t offset) {
    ++bytes_;
    taken_ = offset + 1;
    run_ = records::is_alnum(c) || std::string_view("+/=_-").find(c) != std::string_view::npos ? run_ + 1 : 0;
    if (run_ == kOpaqueRun) forget_word();
    if (c == '\n') return end_physical_line();
    using Effect = records::TerminalText::Effect;
    const Effect effect = terminal_.take(c);
    if (effect == Effect::kErases) records::erase_character(shown_);
    if (effect == Effect::kRestarts) restart(offset);
    if (effect == Effect::kShown || effect == Effect::kRestarts) {
      end_ = offset + 1;
      if (text_.size() + shown_.size() < records::kMostRecordBytes)
        shown_.push_back(c);
      else
        cut_ = true;
    }
    return false;
  }

  /// At the document's end; true if there is a line.
  bool finish() {
    if (bytes_ > 0) end_physical_line();
    return lines_ > 0;
  }

  /// After a fork: places count from byte `begin` on.
  void shift(std::uint64_t begin) {
    for (auto* place : {&begin_, &end_, &taken_, &sums_.odd_byte, &before_word_.odd_byte}) *place -= begin;
  }

  std::string_view text() const { return text_; }
  std::uint64_t begin() const { return begin_; }  ///< Where its text begins.
  std::uint64_t end() const { return end_; }      ///< Without the newline.
  std::uint64_t taken() const { return taken_; }  ///< Where the next byte is.
  std::uint64_t lines() const { return lines_; }  ///< That its carrier split it into.
  bool is_cut() const { return cut_; }            ///< Longer than what is looked at.
  std::optional<int> carrier_level() const {
    return carrier_level_ < 0 ? std::nullopt : std::optional(carrier_level_);
  }
  LineSurprisal surprisal() const {
    if (sums_.tokens == 0) return {0, 0, 0, false};
    return {sums_.nats, sums_.nats / static_cast<double>(sums_.tokens), sums_.highest, true};
  }
  std::size_t odd_at() const { return sums_.odd_at; }        ///< Of the most surprising token, in text().
  std::uint64_t odd_byte() const { return sums_.odd_byte; }  ///< The same, in the document.

  const std::string& carrier_time() const { return carrier_time_; }  ///< Empty if it states none.

  /// What visit() leaves out, because documents of version 5 lack it.
  void visit_word(auto& archive) { archive(before_word_); }
  /// Of version 6.
  void visit_time(auto& archive) { archive(carrier_time_); }
  void visit(auto& archive) {
    archive(begin_, end_, taken_, bytes_, run_, lines_, sums_, carrier_level_, cut_);
    archive(text_, shown_, terminal_);
  }

 private:
  static constexpr std::uint64_t kMostJoinedLines = 4096, kOpaqueRun = 64;

  /// What the tokens so far come to.
  struct Sums {
    std::uint64_t tokens = 0;
    double nats = 0, highest = 0;
    std::uint64_t odd_at = 0, odd_byte = 0;
    void visit(auto& archive) { archive(tokens, nats, highest, odd_at, odd_byte); }
  };

  /// The word is so long that none of its tokens counts.
  void forget_word() {
    last_nats_ = -1;
    sums_ = before_word_;
  }

  void count_token() {
    if (last_nats_ < 0) return;
    ++sums_.tokens;
    sums_.nats += last_nats_;
    if (sums_.tokens > 1 && last_nats_ <= sums_.highest) return;
    sums_.highest = last_nats_;
    sums_.odd_at = text_.size() + shown_.size();
    sums_.odd_byte = end_;
  }

  /// What was written so far is overwritten on the screen; the current token stays.
  void restart(std::uint64_t offset) {
    shown_.clear();
    if (lines_ == 0) begin_ = offset;
    sums_.tokens = 0;
    sums_.nats = sums_.highest = 0;
    before_word_ = {0, 0, 0, text_.size(), offset};
    count_token();
    sums_.odd_byte = offset;
  }

  bool end_physical_line() {
    ++lines_;
    bytes_ = 0;  // of the next part
    terminal_.end_line();
    const auto carried = records::carried_text(shown_);
    // What the carrier wrote before the text does not count as a place in it.
    const std::size_t before = shown_.size() - std::min(shown_.size(), carried.text.size());
    auto& odd_at = sums_.odd_at;
    if (odd_at >= text_.size()) odd_at = std::max(text_.size(), odd_at - std::min(odd_at, before));
    text_ += carried.text;
    shown_.clear();
    if (carrier_time_.empty()) carrier_time_ = carried.time;
    if (carried.level && carrier_level_ < 0) carrier_level_ = std::max(*carried.level, 0);
    return !carried.continues || lines_ == kMostJoinedLines;
  }

  std::uint64_t begin_ = 0, end_ = 0, taken_ = 0, bytes_ = 0, lines_ = 0;
  std::uint64_t run_ = 0;  // bytes of the word so far
  double last_nats_ = -1;  // of the token whose bytes arrive; negative: does not count
  Sums sums_, before_word_;
  std::int32_t carrier_level_ = -1;
  std::string carrier_time_;
  bool cut_ = false;
  std::string text_, shown_;  // what is complete, and what the terminal shows of the line that is read
  records::TerminalText terminal_;
};

/// A long text: its beginning and the part around `at`.
inline std::string shown_of_long(std::string_view text, std::size_t at) {
  constexpr std::size_t kBeginning = kMaxShownText / 3, kBefore = 60;
  constexpr std::string_view kBetween = " \xE2\x80\xA6 ";
  if (text.size() <= kMaxShownText || at < kMaxShownText || at >= text.size())
    return std::string(cut_utf8(text, kMaxShownText));
  std::string shown(cut_utf8(text, kBeginning));
  shown += kBetween;
  std::size_t from = at - kBefore;
  const std::size_t room = kMaxShownText - shown.size();
  if (text.size() - from < room) from = text.size() - room;
  while (from < text.size() && continues_utf8(text[from])) ++from;
  return shown + std::string(cut_utf8(text.substr(from), room));
}

}  // namespace unroll::builtin
