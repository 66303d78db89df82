// Numbers of log lines that are far from those that the same field had: 503 where there was 200, 0 MB free.
// A field is a number's place in the lines that begin with the same words. Constant memory.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/builtin/aging_table.h"
#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/record.h"

namespace unroll::builtin {

/// The number of a line that is farthest out of its range, if one is.
struct OddNumber {
  static constexpr double kMost = 6;

  double bonus = 0;          ///< In nats: how rare it is that this field is so far out. 0: none is.
  std::string value;         ///< As written.
  double low = 0, high = 0;  ///< What the field had before.
};

/// What a field had. The range narrows slowly, so that it follows a field that drifts.
struct NumberRange {
  std::uint32_t count = 0;
  float low = 0, high = 0, last = 0;
  float far = 0;                  // share of values far out of the range
  float rising = 0, falling = 0;  // share of values above, below the one before

  /// 0 if the value is near the range, or if nothing can be said of it yet.
  double bonus(double value) const {
    if (count < kFewest || rising > kCounter || falling > kCounter || !is_far(value)) return 0;
    const double n = count;
    return std::min(OddNumber::kMost, -std::log((far * n + 0.5) / (n + 1)));
  }

  void update(double value) {
    const auto x = static_cast<float>(value);
    if (count == 0) low = high = last = x;
    const bool is_out = is_far(value);
    count = std::min(count + 1, kHorizon);
    const float rate = 1.0F / static_cast<float>(count);
    far += ((is_out ? 1.0F : 0.0F) - far) * rate;
    rising += ((x > last ? 1.0F : 0.0F) - rising) * rate;
    falling += ((x < last ? 1.0F : 0.0F) - falling) * rate;
    last = x;
    // What is far out is believed only after it came again.
    const float reach = is_out && count > kFewest ? 0.25F : 1.0F;
    low += x < low ? (x - low) * reach : (x - low) / kHorizon;
    high += x > high ? (x - high) * reach : (x - high) / kHorizon;
  }

  void visit(auto& archive) { archive(count, low, high, last, far, rising, falling); }

 private:
  static constexpr std::uint32_t kFewest = 20, kHorizon = 1000;
  static constexpr double kCounter = 0.9;  // nearly always rising or falling: a counter, a time

  /// Farther out than half the range's width, a tenth of its values, and 1.
  bool is_far(double value) const {
    const double out = std::max(low - value, value - high);
    return out > std::max({(high - low) / 2.0, std::max(std::fabs(low), std::fabs(high)) / 10.0, 1.0});
  }
};

/// `Range`: NumberRange, or like it.
template <class Range>
class NumberRangesOf {
 public:
  /// Compares the line's numbers with those of lines before it, then adds them. `head`: of its shape.
  OddNumber look(std::string_view line, std::uint64_t head) {
    OddNumbers odd;
    for_each_field(line, head, [&](std::uint64_t field, std::string_view word, double value) {
      Range& range = ranges_.touch(field);
      odd.add(range, word, value);
      range.update(value);
    });
    return odd.joined();
  }

  /// Compares without adding.
  OddNumber compare(std::string_view line, std::uint64_t head) const {
    OddNumbers odd;
    for_each_field(line, head, [&](std::uint64_t field, std::string_view word, double value) {
      if (const Range* range = ranges_.find(field)) odd.add(*range, word, value);
    });
    return odd.joined();
  }

  void visit(auto& archive) { archive(ranges_); }

 private:
  static constexpr std::size_t kMostFields = 16;  // of a line
  static constexpr std::size_t kLongestUnit = 3;  // letters: ms, MB, rpm

  /// Those of one line.
  class OddNumbers {
   public:
    void add(const Range& range, std::string_view word, double value) {
      const double bonus = range.bonus(value);
      if (bonus > 0) ++count_;
      if (bonus > oddest_.bonus) oddest_ = {bonus, std::string(word), range.low, range.high};
    }
    /// Numbers of one line change together: a further one says less than the first.
    OddNumber joined() {
      if (count_ > 1) oddest_.bonus = std::min(OddNumber::kMost, oddest_.bonus + std::log(count_));
      return std::move(oddest_);
    }

   private:
    OddNumber oddest_;
    int count_ = 0;
  };

  /// The time at the line's beginning is no quantity: its day and its milliseconds do not count.
  static std::size_t end_of_time(std::string_view line) {
    if (line.starts_with('{')) return 0;
    const std::string time = records::record_time(line);
    return time.empty() ? 0 : line.find(time) + time.size();
  }

  /// Calls `take` with the field's hash, the word and the value of each number.
  static void for_each_field(std::string_view line, std::uint64_t head, const auto& take) {
    std::string_view before;  // the word
    std::size_t fields = 0;
    std::uint64_t place = 0;  // among the words with digits
    for (std::size_t i = end_of_time(line); i < line.size() && fields < kMostFields;) {
      if (!is_word_character(line[i]) || line[i] == ':') {  // "cpu":45
        ++i;
        continue;
      }
      const std::size_t end = end_of_word(line, i);
      const auto word = line.substr(i, end - i);
      const bool has_digit = std::any_of(word.begin(), word.end(), records::is_digit);
      place += has_digit ? 1 : 0;
      double value = 0;
      if (has_digit && number(word, value) && !is_in_brackets(line, i, end)) {
        ++fields;
        take(field_of(line, i, end, before, head, place), word, value);
      }
      before = word;
      i = end;
    }
  }

  static std::size_t end_of_word(std::string_view line, std::size_t begin) {
    while (begin < line.size() && is_word_character(line[begin])) ++begin;
    return begin;
  }

  /// 42, -0.5, 307ms; not 1.2.3, 0x1f, 12:30, a1.
  static bool number(std::string_view word, double& value) {
    while (word.ends_with('.') || word.ends_with(':')) word.remove_suffix(1);
    const auto [end, error] =
        std::from_chars(word.data(), word.data() + word.size(), value, std::chars_format::fixed);
    const auto unit = word.substr(static_cast<std::size_t>(end - word.data()));
    return error == std::errc() && std::isfinite(value) && std::fabs(value) < 1e30 &&
           unit.size() <= kLongestUnit && std::all_of(unit.begin(), unit.end(), records::is_letter);
  }

  /// sshd[1412]: a process, not a quantity.
  static bool is_in_brackets(std::string_view line, std::size_t begin, std::size_t end) {
    return begin > 0 && line[begin - 1] == '[' && end < line.size() && line[end] == ']';
  }

  /// By its key if it has one (status=503, "status":503), else by its place and the word after it.
  static std::uint64_t field_of(std::string_view line, std::size_t begin, std::size_t end,
                                std::string_view before, std::uint64_t head, std::uint64_t place) {
    ShapeHash hash(3);
    for (int shift = 0; shift < 64; shift += 8) hash.add(static_cast<char>(head >> shift));
    const std::size_t last = begin == 0 ? std::string_view::npos : line.find_last_not_of(" \"", begin - 1);
    const bool has_key = last != std::string_view::npos && (line[last] == '=' || line[last] == ':');
    if (has_key) {
      for (const char c : before) hash.add(c);
      return hash.value();
    }
    hash.add(static_cast<char>(place));
    const std::size_t next = line.find_first_not_of(" \t", end);
    if (next == std::string_view::npos) return hash.value();
    const auto after = line.substr(next, end_of_word(line, next) - next);
    if (std::none_of(after.begin(), after.end(), records::is_digit)) {
      for (const char c : after) hash.add(c);
    }
    return hash.value();
  }

  AgingTable<Range, 1024> ranges_;
};
using NumberRanges = NumberRangesOf<NumberRange>;

}  // namespace unroll::builtin
