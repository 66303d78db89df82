#include "protocol/broken_line.h"

#include <charconv>
#include <string>
#include <utility>

#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

/// Reads the request's id from a line whose end is not valid JSON.
class IdFinder : public nlohmann::json_sax<json> {
 public:
  json id;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t value) override { return take(value); }
  bool number_unsigned(std::uint64_t value) override { return take(value); }
  bool number_float(double value, const std::string&) override { return take(value); }
  bool string(std::string& value) override { return take(value); }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_object() override {
    keep();
    return --depth_, true;
  }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_array() override { return --depth_, true; }
  bool key(std::string& name) override {
    keep();
    if (depth_ == 1) at_id_ = name == "id";
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  bool take(const json& value) {
    if (depth_ == 1 && at_id_) found_ = value;
    return true;
  }
  /// Whether a valid separator follows the value, so that it was read to its end.
  void keep() {
    if (!found_.is_null()) id = std::exchange(found_, json());
  }
  json found_;
  std::size_t depth_ = 0;
  bool at_id_ = false;
};

/// The number of a \uXXXX escape at the beginning of `text`.
std::optional<unsigned> escape_at(std::string_view text) {
  unsigned code = 0;
  if (!text.starts_with("\\u") || text.size() < 6) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, code, 16);
  if (error != std::errc() || end != text.data() + 6) return std::nullopt;
  return code;
}

bool is_high(unsigned code) {
  return code >= 0xD800 && code < 0xDC00;
}
bool is_low(unsigned code) {
  return code >= 0xDC00 && code < 0xE000;
}

/// Replaces each unpaired surrogate escape with U+FFFD. Returns the first one's position, if any.
std::optional<std::size_t> mend_surrogates(std::string& line) {
  std::optional<std::size_t> first;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] != '\\') {
      ++at;
      continue;
    }
    const std::string_view rest = std::string_view(line).substr(at);
    const auto code = escape_at(rest);
    if (!code) {
      at += 2;
      continue;
    }
    const auto next = is_high(*code) ? escape_at(rest.substr(6)) : std::nullopt;
    const bool pair = next && is_low(*next);
    if (!pair && (is_high(*code) || is_low(*code))) {
      if (!first) first = at;
      line.replace(at, 6, "\\ufffd");
    }
    at += pair ? 12 : 6;
  }
  return first;
}

}  // namespace

BrokenLine look_at_broken(std::string_view line) {
  BrokenLine broken;
  std::string mended(line);
  const auto surrogate = mend_surrogates(mended);
  IdFinder finder;
  const bool whole = json::sax_parse(mended, &finder);
  broken.id = std::move(finder.id);
  if (surrogate && whole) {
    broken.surrogate.emplace(ErrorCode::kParse,
                             "half of a surrogate pair at byte " + std::to_string(*surrogate + 1) +
                                 " is not a character; send the whole pair, or \\ufffd in its place");
  }
  return broken;
}

}  // namespace unroll
