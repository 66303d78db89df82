// Writes one output as JSON text: the order of the keys and every digit are the same on every run.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "unroll/plugin.hpp"

#include "base/six_digits.h"

namespace unroll::builtin {

inline constexpr std::size_t kMaxShownText = 300;  ///< Bytes of a passage's text in an output.

/// Whether `byte` continues a UTF-8 sequence rather than beginning one.
inline bool continues_utf8(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// The first `limit` bytes or fewer, without cutting a UTF-8 sequence that is whole in `text`.
inline std::string_view cut_utf8(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && limit - end < 3 && continues_utf8(text[end])) --end;
  return text.substr(0, continues_utf8(text[end]) ? limit : end);
}

/// Fails if a surprisal is not a finite number: it would invalidate every later sum.
inline double nats_of(float logprob, const plugin::Block& block) {
  if (!std::isfinite(logprob)) {
    throw plugin::Error("block " + std::to_string(block.index()) +
                        " has a log-probability that is not a finite number; the model is damaged");
  }
  return logprob < 0 ? -static_cast<double>(logprob) : 0.0;
}

/// The caller opens and closes objects and arrays; commas are added automatically.
class JsonText {
 public:
  JsonText& open(char bracket) {
    separate();
    out_.push_back(bracket);
    first_ = true;
    return *this;
  }
  JsonText& close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
    return *this;
  }
  JsonText& key(std::string_view name) {  // plain ASCII, not escaped
    separate();
    out_.push_back('"');
    out_ += name;
    out_ += "\":";
    first_ = true;
    return *this;
  }
  JsonText& value(std::integral auto number) {
    separate();
    if constexpr (std::same_as<decltype(number), bool>) {
      out_ += number ? "true" : "false";
      return *this;
    } else {
      return digits(number);
    }
  }
  /// Six significant digits.
  JsonText& value(std::floating_point auto number) {
    separate();
    out_ += six_digits(number);
    return *this;
  }
  JsonText& null() {
    separate();
    out_ += "null";
    return *this;
  }
  /// Any bytes; what is not UTF-8 becomes U+FFFD.
  JsonText& value(std::string_view text) {
    separate();
    out_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return *this;
  }
  template <class T>
  JsonText& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }
  JsonText& field(std::string_view name, const char* content) {
    return key(name).value(std::string_view(content));
  }
  template <class Range>
  JsonText& list(std::string_view name, const Range& numbers) {
    key(name).open('[');
    for (const auto& number : numbers) value(number);
    return close(']');
  }
  const std::string& text() const { return out_; }

 private:
  void separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  JsonText& digits(std::integral auto number) {
    char buffer[24];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, number);
    out_.append(buffer, end.ptr);
    return *this;
  }

  std::string out_;
  bool first_ = true;
};

}  // namespace unroll::builtin
