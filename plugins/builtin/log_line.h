// A line of a log while its bytes arrive: its text as a terminal shows it, without what its carrier wrote
// around it, and its surprisal. A line that its carrier split (CRI, docker) is one line, also if lines of the
// container's other stream come between its parts.
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
  /// The line after this one, which begins at byte `begin`. The other stream's unfinished line goes on.
  LogLine next(std::uint64_t begin) const {
    LogLine line(begin);
    line.part_.stream = part_.stream;
    line.other_ = other_;
    line.other_.line = 0;
    return line;
  }

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
      if (part_.text.size() + shown_.size() < records::kMostRecordBytes)
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
    for (Part* part : {&part_, &other_}) {
      for (auto* place : {&part->from, &part->start, &part->sums.odd_byte}) *place -= begin;
    }
  }

  std::string_view text() const { return part_.text; }
  /// Where its text begins; of a line of which other streams' lines follow a part, the part after them.
  std::uint64_t begin() const { return part_.start; }
  std::uint64_t from() const { return part_.from; }  ///< Where the first of its parts begins.
  std::uint64_t end() const { return end_; }         ///< Without the newline.
  std::uint64_t taken() const { return taken_; }     ///< Where the next byte is.
  std::uint64_t taken_lines() const { return lines_; }
  /// The number of its first line among those that were taken: those before it are the other stream's.
  std::uint64_t first() const { return std::max<std::uint64_t>(part_.line, 1); }
  std::uint64_t lines() const { return lines_ - first() + 1; }  ///< That its carrier split it into.
  bool is_cut() const { return cut_; }                          ///< Longer than what is looked at.
  std::optional<int> carrier_level() const {
    return part_.level < 0 ? std::nullopt : std::optional(part_.level);
  }
  LineSurprisal surprisal() const {
    const Sums& sums = part_.sums;
    if (sums.tokens == 0) return {0, 0, 0, false};
    return {sums.nats, sums.nats / static_cast<double>(sums.tokens), sums.highest, true};
  }
  std::size_t odd_at() const { return part_.sums.odd_at; }  ///< Of the most surprising token, in text().
  std::uint64_t odd_byte() const { return part_.sums.odd_byte; }  ///< The same, in the document.

  const std::string& carrier_time() const { return part_.time; }  ///< Empty if it states none.

  /// What visit() leaves out, because documents of version 5 lack it.
  void visit_word(auto& archive) { archive(before_word_); }
  /// Of version 6.
  void visit_time(auto& archive) { archive(part_.time); }
  /// Of version 8.
  void visit_parts(auto& archive) {
    archive(part_.sums, part_.from, part_.start, part_.line, part_.open, part_.stream, other_);
  }
  /// Of a document that was begun with those.
  void assume_parts() {
    if (lines_ == 0) return;
    part_.open = true;
    part_.line = 1;
    part_.from = part_.start = std::exchange(begin_, taken_ - bytes_);
  }
  void visit(auto& archive) {
    archive(begin_, end_, taken_, bytes_, run_, lines_, sums_, part_.level, cut_);
    archive(part_.text, shown_, terminal_);
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

  /// What a stream has of its line.
  struct Part {
    std::string text, time;
    std::int32_t level = -1;  // the carrier's
    Sums sums;
    std::uint64_t from = 0;   // where it begins
    std::uint64_t start = 0;  // where its first line since the last complete one begins
    std::uint64_t line = 0;   // the number of that line; 0: none
    bool open = false;        // more of it follows
    records::Stream stream = records::Stream::kStdout;

    void visit(auto& archive) { archive(text, time, level, sums, from, start, line, open, stream); }
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
    sums_.odd_at = part_.text.size() + shown_.size();
    sums_.odd_byte = end_;
  }

  /// What was written so far is overwritten on the screen; the current token stays.
  void restart(std::uint64_t offset) {
    shown_.clear();
    begin_ = offset;
    sums_.tokens = 0;
    sums_.nats = sums_.highest = 0;
    before_word_ = {0, 0, 0, part_.text.size(), offset};
    count_token();
    sums_.odd_byte = offset;
  }

  bool end_physical_line() {
    ++lines_;
    bytes_ = 0;  // of the next part
    terminal_.end_line();
    const auto carried = records::carried_text(shown_);
    if (carried.stream != part_.stream) {
      std::swap(part_, other_);
      part_.stream = carried.stream;
    }
    if (!part_.open) part_.from = begin_;
    if (part_.line == 0) {
      part_.line = lines_;
      part_.start = begin_;
    }
    add_sums(shown_.size() - std::min(shown_.size(), carried.text.size()));
    part_.text += carried.text.substr(
        0, records::kMostRecordBytes - std::min(records::kMostRecordBytes, part_.text.size()));
    shown_.clear();
    begin_ = taken_;
    if (part_.time.empty()) part_.time = carried.time;
    if (carried.level && part_.level < 0) part_.level = std::max(*carried.level, 0);
    part_.open = carried.continues;
    return !carried.continues || lines_ == kMostJoinedLines;
  }

  /// What the carrier wrote before the text, `before` bytes, does not count as a place in it.
  void add_sums(std::size_t before) {
    Sums& all = part_.sums;
    const bool oddest = all.tokens == 0 || sums_.highest > all.highest;
    const auto size = part_.text.size();
    if (oddest) {
      all.highest = sums_.highest;
      all.odd_at =
          sums_.odd_at < size
              ? sums_.odd_at
              : std::max<std::uint64_t>(size, sums_.odd_at - std::min<std::uint64_t>(sums_.odd_at, before));
      all.odd_byte = sums_.odd_byte;
    }
    all.tokens += sums_.tokens;
    all.nats += sums_.nats;
    sums_ = before_word_ = {.odd_byte = taken_};
  }

  std::uint64_t begin_ = 0;  // of the line that is read
  std::uint64_t end_ = 0, taken_ = 0, bytes_ = 0, lines_ = 0;
  std::uint64_t run_ = 0;    // bytes of the word so far
  double last_nats_ = -1;    // of the token whose bytes arrive; negative: does not count
  Sums sums_, before_word_;  // of the line that is read
  Part part_, other_;        // of the stream that the last line was of, and of the other one
  bool cut_ = false;
  std::string shown_;  // what the terminal shows of the line that is read
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
