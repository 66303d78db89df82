// A plugin's state as bytes: a tag with the plugin's name and version, then the fields in order, in native
// byte order (a journal is not moved between machines). Each state has one function `visit(archive)` for
// reading and writing.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "unroll/plugin.hpp"

namespace unroll::builtin {

class StateWriter {
 public:
  static constexpr bool kReads = false;
  explicit StateWriter(std::string_view tag) { bytes(tag); }
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(const T& value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void operator()(const std::string& text) { bytes(text); }
  template <class T>
  void operator()(const std::vector<T>& list) {
    (*this)(static_cast<std::uint64_t>(list.size()));
    if constexpr (std::is_arithmetic_v<T>) {
      out_.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
    } else {
      for (const auto& item : list) (*this)(item);
    }
  }
  template <class T>
  requires requires(T& t, StateWriter& w) { t.visit(w); }
  void operator()(const T& value) {
    const_cast<T&>(value).visit(*this);  // visit only reads when the archive is a writer
  }
  template <class... T>
  requires(sizeof...(T) > 1) void operator()(const T&... values) { ((*this)(values), ...); }
  std::string take() { return std::move(out_); }

 private:
  void bytes(std::string_view text) {
    (*this)(static_cast<std::uint64_t>(text.size()));
    out_.append(text);
  }
  std::string out_;
};

/// Throws StateError if the bytes end early, continue after the last field, or have another tag.
class StateReader {
 public:
  static constexpr bool kReads = true;
  StateReader(std::span<const std::byte> bytes, std::string_view tag) : left_(bytes) {
    std::string found;
    (*this)(found);
    if (found != tag) fail("the saved state is not one of " + std::string(tag));
  }
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    const auto from = take(sizeof value);
    std::memcpy(&value, from.data(), sizeof value);
    if constexpr (std::is_floating_point_v<T>) {  // others are never saved and would break sorting
      if (!std::isfinite(value)) fail("the saved state is damaged");
    }
  }
  void operator()(bool& value) {
    std::uint8_t byte = 0;
    (*this)(byte);
    if (byte > 1) fail("the saved state is damaged");
    value = byte == 1;
  }
  void operator()(std::string& text) {
    const auto from = take(count(1));
    text.assign(reinterpret_cast<const char*>(from.data()), from.size());
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    list.resize(count(std::is_arithmetic_v<T> ? sizeof(T) : 1));
    for (auto& item : list) (*this)(item);
  }
  template <class T>
  requires requires(T& t, StateReader& r) { t.visit(r); }
  void operator()(T& value) { value.visit(*this); }
  template <class... T>
  requires(sizeof...(T) > 1) void operator()(T&... values) { ((*this)(values), ...); }
  /// For a field that older states lack.
  bool at_end() const { return left_.empty(); }
  void done() const {
    if (!left_.empty()) fail("the saved state has bytes after its end");
  }
  [[noreturn]] static void fail(const std::string& text) { throw plugin::StateError(text); }

 private:
  std::uint64_t count(std::size_t least_bytes_each) {
    std::uint64_t n = 0;
    (*this)(n);
    if (n > left_.size() / least_bytes_each) fail("the saved state ends early");
    return n;
  }
  std::span<const std::byte> take(std::size_t n) {
    if (n > left_.size()) fail("the saved state ends early");
    const auto front = left_.first(n);
    left_ = left_.subspan(n);
    return front;
  }
  std::span<const std::byte> left_;
};

/// Whether the bytes begin with this tag.
inline bool has_tag(std::span<const std::byte> bytes, std::string_view tag) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size + tag.size()) return false;
  std::memcpy(&size, bytes.data(), sizeof size);
  return size == tag.size() && std::memcmp(bytes.data() + sizeof size, tag.data(), tag.size()) == 0;
}

template <class State>
std::string save_state(const State& state, std::string_view tag) {
  StateWriter writer(tag);
  writer(state);
  return writer.take();
}

template <class State>
void load_state(State& state, std::span<const std::byte> bytes, std::string_view tag) {
  StateReader reader(bytes, tag);
  State fresh = state;  // assigned only after all of it was read
  reader(fresh);
  reader.done();
  state = std::move(fresh);
}

}  // namespace unroll::builtin
