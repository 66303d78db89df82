#include "client/views/rate_text.h"

#include <cmath>

#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

std::string seconds_of(const nlohmann::json& rate, const char* key) {
  const double seconds = number(rate, key);
  return seconds < 60 ? fixed(seconds, seconds < 10 ? 1 : 0) + " s" : readable_seconds(seconds);
}

}  // namespace

bool is_rate(const nlohmann::json& output) {
  return output.is_object() && output.contains("type") && type_of(output) == "rate";
}

std::string range_text(const nlohmann::json& number) {
  const auto shown = [&](const char* key) {
    const double value = ::unroll::number(number, key);
    return fixed(value, value == std::floor(value) ? 0 : 2);
  };
  return "  (" + text_of(number, "value") + ": " + shown("low") + " to " + shown("high") + " before)";
}

std::string rate_text(const nlohmann::json& rate) {
  const std::string kind = text_of(rate, "rate");
  if (kind == "silent")
    return "no line for " + seconds_of(rate, "seconds") + ", " + seconds_of(rate, "usual") +
           " at most before";
  const std::string text = one_line(text_of(rate, "text"));
  if (kind == "more")
    return with_thousands(whole(rate, "count")) + " in " + seconds_of(rate, "seconds") + ", " +
           fixed(number(rate, "usual"), 0) + " at most before: " + text;
  return "none for " + seconds_of(rate, "seconds") + ", " + seconds_of(rate, "usual") +
         " at most before: " + text;
}

}  // namespace unroll
