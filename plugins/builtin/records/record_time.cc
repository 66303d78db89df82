// record_time() of record.h.
#include <string>
#include <string_view>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/json_fields.h"
#include "plugins/builtin/records/record.h"

namespace unroll::records {
namespace {

constexpr std::size_t kLooked = 64;  // bytes of the beginning

struct Form {
  std::string_view pattern;  // of looks_like()
  std::string_view further;  // characters that may follow, beside digits
};
constexpr Form kForms[] = {
    {"9999-99-99T99:99:99", ".,:+-Z"}, {"9999-99-99 99:99:99", ".,:+Z"}, {"9999/99/99 99:99:99", ".,"},
    {"aaa 99 99:99:99", ".,"},         {"aaa  9 99:99:99", ".,"},        {"99/aaa/9999:99:99:99", ".,"},
    {"99.99.9999 99:99:99", ".,"},     {"99-99 99:99:99.999", ""},       {"99:99:99", ".,"}};
constexpr std::string_view kKeys[] = {
    "time",    "ts",       "timestamp", "@timestamp",          "@t", "t", "T",
    "t.$date", "datetime", "date",      "__REALTIME_TIMESTAMP"};

std::size_t time_length(std::string_view text) {
  for (const auto& [pattern, further] : kForms) {
    if (!looks_like(text, pattern)) continue;
    std::size_t end = pattern.size();
    while (end < text.size() && (is_digit(text[end]) || further.find(text[end]) != std::string_view::npos))
      ++end;
    while (end > pattern.size() && std::string_view(",:.").find(text[end - 1]) != std::string_view::npos)
      --end;
    return end;
  }
  // Seconds since 1970, from 2001 to 2286.
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || (text[end] == '.' && end == 10))) ++end;
  const bool seconds = looks_like(text, "9999999999") && (end == 10 || (end > 11 && text[10] == '.'));
  return seconds ? end : 0;
}

}  // namespace

std::string record_time(std::string_view text) {
  if (text.starts_with('{')) {
    const auto fields = json_fields(text);
    const JsonField* time = find_field(fields, kKeys);
    if (time != nullptr) return time->value;
  }
  // klog: the letter of the level, month and day.
  if (looks_like(text, "a9999 99:99:99")) {
    std::size_t end = 14;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
    return std::string(text.substr(1, end - 1));
  }
  const auto begin = text.substr(0, kLooked);
  for (std::size_t i = 0; i < begin.size(); ++i) {
    if (i > 0 && is_alnum(begin[i - 1])) continue;
    if (const std::size_t length = time_length(text.substr(i)); length > 0)
      return std::string(text.substr(i, length));
  }
  return "";
}

}  // namespace unroll::records
