#include "base/strict_json.h"

#include <functional>
#include <set>
#include <vector>

#include "base/utf8.h"

namespace unroll {
namespace {

constexpr std::size_t kQuotedLength = 120;  // bytes

std::string shortened(std::string text) {
  if (text.size() <= kQuotedLength) return text;
  auto end = kQuotedLength;
  while (end > 0 && continues_utf8(text[end])) --end;
  return text.substr(0, end) + "...";
}

/// The objects and arrays that the parser has not closed yet, innermost last.
class Guard {
 public:
  explicit Guard(const JsonLimits& limits) : limits_(limits) {}

  bool operator()(int /*depth*/, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        count();
        if (static_cast<int>(open_.size()) >= limits_.depth)
          throw JsonError("nested deeper than " + std::to_string(limits_.depth) + " levels");
        open_.emplace_back();
        open_.back().array = event == Event::array_start;
        break;
      case Event::object_end:
      case Event::array_end:
        open_.pop_back();
        break;
      case Event::key:
        if (!open_.back().keys.insert(parsed.get<std::string>()).second)
          throw JsonError("duplicate key " + shown(parsed));
        break;
      case Event::value:
        count();
        break;
    }
    return true;
  }

 private:
  struct Level {
    bool array = false;
    std::size_t values = 0;
    std::set<std::string> keys;
  };

  void count() {
    if (++values_ > limits_.values)
      throw JsonError("more than " + std::to_string(limits_.values) + " values");
    if (open_.empty() || !open_.back().array) return;
    if (++open_.back().values > limits_.values_in_array)
      throw JsonError("an array of more than " + std::to_string(limits_.values_in_array) + " values");
  }

  const JsonLimits& limits_;
  std::vector<Level> open_;
  std::size_t values_ = 0;
};

}  // namespace

nlohmann::json parse_strict_json(std::string_view text, const JsonLimits& limits) {
  if (const auto nul = text.find('\0'); nul != std::string_view::npos)
    throw JsonError("not valid JSON: a NUL at byte " + std::to_string(nul + 1));
  Guard guard(limits);
  try {
    return nlohmann::json::parse(text, std::ref(guard), true, limits.comments);
  } catch (const nlohmann::json::parse_error& error) {
    // The library's own message quotes the input, which may be a document.
    throw JsonError("not valid JSON: an error at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception&) {
    throw JsonError("not valid JSON: a number is out of range");
  }
}

std::string shown(const nlohmann::json& value) {
  return shortened(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace unroll
