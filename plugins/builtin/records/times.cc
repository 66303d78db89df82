#include "plugins/builtin/records/times.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "plugins/builtin/records/characters.h"

namespace unroll::records {
namespace {

constexpr std::size_t kLooked = 64;  // bytes of a line's beginning
constexpr int kYear = 2000;          // of times without one: it has a 29th of February
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};

/// Days since 1970 in the Gregorian calendar.
double days_of(int year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const int of_era = year - era * 400;
  const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097.0 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/// Reads a text from its beginning.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : left_(text) {}
  bool looks_like(std::string_view pattern) const { return records::looks_like(left_, pattern); }
  /// A number of that many characters; blanks may be before it.
  int number(std::size_t count) {
    int value = 0;
    for (const char c : left_.substr(0, count)) value = is_digit(c) ? value * 10 + (c - '0') : value;
    skip(count);
    return value;
  }
  /// 1 to 12; 0 if it is no month.
  int month() {
    const auto found = std::find(kMonths.begin(), kMonths.end(), ascii::lower(left_.substr(0, 3)));
    skip(3);
    return found == kMonths.end() ? 0 : static_cast<int>(found - kMonths.begin()) + 1;
  }
  /// ".25", ",250"
  double fraction() {
    if (left_.size() < 2 || (left_[0] != '.' && left_[0] != ',') || !is_digit(left_[1])) return 0;
    skip(1);
    double value = 0;
    for (double unit = 0.1; !left_.empty() && is_digit(left_[0]); unit /= 10, skip(1))
      value += unit * (left_[0] - '0');
    return value;
  }
  /// "+02:00", "-0700": seconds east of Greenwich.
  int zone() {
    if (!looks_like("+99") && !looks_like("-99")) return 0;
    const int sign = left_[0] == '-' ? -1 : 1;
    skip(1);
    const int hours = number(2);
    if (looks_like(":99")) skip(1);
    return sign * (hours * 3600 + (looks_like("99") ? number(2) * 60 : 0));
  }
  void skip(std::size_t count = 1) { left_.remove_prefix(std::min(count, left_.size())); }

 private:
  std::string_view left_;
};

/// "08:00:01.25+01:00", "8:00:01 PM"
double time_of_day(Scanner& text) {
  const int hour = text.number(text.looks_like("9:") ? 1 : 2);
  text.skip();
  double seconds = text.number(2) * 60;
  text.skip();
  seconds += text.number(2);
  seconds += text.fraction();
  const bool before_noon = text.looks_like(" AM"), after_noon = text.looks_like(" PM");
  const int of_day = before_noon || after_noon ? hour % 12 + (after_noon ? 12 : 0) : hour;
  return of_day * 3600 + seconds - text.zone();
}

std::optional<double> at(int year, int month, int day, Scanner& text) {
  if (month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  return days_of(year, month, day) * 86400 + time_of_day(text);
}

/// Since 1970, in units that the number of digits tells, from 2001 to 2286. Or 1.7724384e+09.
std::optional<double> since_1970(std::string_view text) {
  if (looks_like(text, "9.9") && (text.ends_with("e+09") || text.ends_with("e9")))
    return std::strtod(std::string(text).c_str(), nullptr);
  const auto digits =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  if (digits < 10 || digits > 19 || digits % 3 != 1) return std::nullopt;
  if (digits < text.size() && text[digits] != '.') return std::nullopt;
  return std::strtod(std::string(text).c_str(), nullptr) /
         std::pow(1000.0, static_cast<double>(digits - 10) / 3);
}

}  // namespace

std::optional<double> seconds_of(std::string_view time) {
  Scanner text(time);
  for (const char* date : {"9999-99-99T99:99:99", "9999-99-99 99:99:99", "9999/99/99 99:99:99"}) {
    if (!text.looks_like(date)) continue;
    const int year = text.number(4);
    text.skip();
    const int month = text.number(2);
    text.skip();
    const int day = text.number(2);
    text.skip();
    return at(year, month, day, text);
  }
  if (text.looks_like("99.99.9999 99:99:99")) {
    const int day = text.number(2);
    text.skip();
    const int month = text.number(2);
    text.skip();
    const int year = text.number(4);
    text.skip();
    return at(year, month, day, text);
  }
  if (text.looks_like("99/aaa/9999:99:99:99")) {
    const int day = text.number(2);
    text.skip();
    const int month = text.month();
    text.skip();
    const int year = text.number(4);
    text.skip();
    return at(year, month, day, text);
  }
  if (text.looks_like("aaa 99 99:99:99") || text.looks_like("aaa  9 99:99:99")) {
    const int month = text.month();
    text.skip();
    const int day = text.number(2);
    text.skip();
    return at(kYear, month, day, text);
  }
  if (text.looks_like("99-99 99:99:99") || text.looks_like("9999 99:99:99")) {  // logcat, klog
    const int month = text.number(2);
    if (text.looks_like("-")) text.skip();
    const int day = text.number(2);
    text.skip();
    return at(kYear, month, day, text);
  }
  if (text.looks_like("99:99:99") || text.looks_like("9:99:99 aM")) return time_of_day(text);
  if (time.starts_with('[') && time.ends_with(']'))  // the kernel's, as record_time() has it
    return std::strtod(std::string(time.substr(1)).c_str(), nullptr);
  return since_1970(time);
}

std::optional<TimeFormat::Found> TimeFormat::look(std::string_view line) const {
  const std::string beginning(line.substr(0, 2 * kLooked));
  for (std::size_t i = 0; i < std::min(beginning.size(), kLooked); ++i) {
    if (i > 0 && is_alnum(beginning[i - 1])) continue;
    std::tm parts{};
    parts.tm_year = kYear - 1900;
    parts.tm_mday = 1;
    const char* end = ::strptime(beginning.c_str() + i, format_.c_str(), &parts);
    if (end == nullptr || end == beginning.c_str() + i) continue;
    const auto east = static_cast<double>(parts.tm_gmtoff);  // timegm() resets it
    return Found{static_cast<double>(::timegm(&parts)) - east + Scanner(end).fraction(), i,
                 static_cast<std::size_t>(end - beginning.c_str())};
  }
  return std::nullopt;
}

std::optional<double> TimeFormat::find(std::string_view line) const {
  const auto found = look(line);
  return found ? std::optional(found->seconds) : std::nullopt;
}

std::string TimeFormat::text(std::string_view line) const {
  const auto found = look(line);
  if (!found) return "";
  std::size_t end = found->end;  // with a fraction
  if (end + 1 < line.size() && (line[end] == '.' || line[end] == ',') && is_digit(line[end + 1])) {
    for (++end; end < line.size() && is_digit(line[end]);) ++end;
  }
  return std::string(line.substr(found->begin, end - found->begin));
}

}  // namespace unroll::records
