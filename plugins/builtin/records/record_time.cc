// record_time() of record.h.
#include <algorithm>
#include <string>
#include <string_view>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/json_fields.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/times.h"

namespace unroll::records {
namespace {

constexpr std::size_t kLooked = 64;  // bytes of the beginning

struct Form {
  std::string_view pattern;  // of looks_like()
  std::string_view further;  // characters that may follow, beside digits
};
constexpr Form kForms[] = {{"9999-99-99T99:99:99", ".,:+-Z"},
                           {"9999-99-99 99:99:99", ".,:+Z"},
                           {"9999/99/99 99:99:99", ".,"},
                           {"aaa 99 99:99:99", ".,"},
                           {"aaa  9 99:99:99", ".,"},
                           {"99/aaa/9999:99:99:99", ".,"},
                           {"99.99.9999 99:99:99", ".,"},
                           {"99-99 99:99:99.999", ""},
                           {"99:99:99", ".,"},
                           {"9:99:99 aM", ""}};
// In lower case.
constexpr std::string_view kKeys[] = {"time",
                                      "ts",
                                      "timestamp",
                                      "@timestamp",
                                      "@t",
                                      "t",
                                      "t.$date",
                                      "datetime",
                                      "date",
                                      "__realtime_timestamp",
                                      "asctime",
                                      "timemillis",
                                      "eventtime",
                                      "event_time",
                                      "log_time",
                                      "timeunixnano",
                                      "instant.epochsecond"};

/// 03/02/2026 08:00:00 and 8:00:00 AM have a half of the day after them.
std::size_t with_half_of_day(std::string_view text, std::size_t end) {
  const auto after = text.substr(std::min(end, text.size()));
  const bool half = looks_like(after, " aM") && (after[1] == 'A' || after[1] == 'P');
  return half && (after.size() == 3 || !is_alnum(after[3])) ? end + 3 : end;
}

/// Of digits since 1970: seconds, or with a thousand times as many three more each; from 2001 to 2286.
std::size_t length_since_1970(std::string_view text, bool is_first) {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end < 10 || end > 19 || end % 3 != 1) return 0;
  // Other numbers are as long: an identifier, a count.
  if (end > 10 && (!is_first || text[0] != '1')) return 0;
  if (end < text.size() && text[end] == '.') {
    std::size_t fraction = end + 1;
    while (fraction < text.size() && is_digit(text[fraction])) ++fraction;
    return fraction > end + 1 ? fraction : end;
  }
  return end < text.size() && is_letter(text[end]) ? 0 : end;
}

std::size_t time_length(std::string_view text, bool is_first) {
  for (const auto& [pattern, further] : kForms) {
    if (!looks_like(text, pattern)) continue;
    if (pattern.ends_with("aM")) return with_half_of_day(text, pattern.size() - 3) > 7 ? pattern.size() : 0;
    std::size_t end = pattern.size();
    while (end < text.size() && (is_digit(text[end]) || further.find(text[end]) != std::string_view::npos))
      ++end;
    while (end > pattern.size() && std::string_view(",:.").find(text[end - 1]) != std::string_view::npos)
      --end;
    return pattern.starts_with("99:") ? with_half_of_day(text, end) : end;
  }
  return length_since_1970(text, is_first);
}

/// The first field that is a time.
std::string time_of_json(std::string_view text) {
  const auto fields = json_fields(text);
  for (const std::string_view name : kKeys) {
    for (const JsonField& field : fields) {
      if (ascii::lower(field.key) == name && seconds_of(field.value)) return field.value;
    }
  }
  return "";
}

/// [   12.345678]: since the kernel began.
std::string time_of_kernel(std::string_view text) {
  const auto close = text.find(']');
  if (!text.starts_with('[') || close == std::string_view::npos || close > 20) return "";
  const auto number = without_leading_blanks(text.substr(1, close - 1));
  const auto point = number.find('.');
  const bool is_time = point != std::string_view::npos && point > 0 && number.size() == point + 7 &&
                       all_digits(number.substr(0, point)) && all_digits(number.substr(point + 1));
  return is_time ? std::string(text.substr(0, close + 1)) : "";
}

}  // namespace

std::string record_time(std::string_view text) {
  if (text.starts_with('{')) {
    if (auto time = time_of_json(text); !time.empty()) return time;
  }
  // klog: the letter of the level, month and day.
  if (looks_like(text, "a9999 99:99:99")) {
    std::size_t end = 14;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
    return std::string(text.substr(1, end - 1));
  }
  if (auto time = time_of_kernel(text); !time.empty()) return time;
  const auto begin = text.substr(0, kLooked);
  for (std::size_t i = 0; i < begin.size(); ++i) {
    if (i > 0 && is_alnum(begin[i - 1])) continue;
    const bool is_first = i == 0 || std::string_view("[(=").find(begin[i - 1]) != std::string_view::npos;
    if (const std::size_t length = time_length(text.substr(i), is_first); length > 0)
      return std::string(text.substr(i, length));
  }
  return "";
}

}  // namespace unroll::records
