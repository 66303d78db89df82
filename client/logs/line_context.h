// --context: the lines before and after an odd line, in its object.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

/// Holds objects back until the lines that follow them are known. Not thread-safe.
class LineContext {
 public:
  using Emit = std::function<void(const nlohmann::ordered_json&)>;
  /// `lines`: before and after; 0: objects pass at once.
  LineContext(std::size_t lines, Emit emit) : lines_(lines), emit_(std::move(emit)) {}
  /// Takes the next line. `odd`: whether its object shall have its context.
  void add(nlohmann::ordered_json object, const std::string& text, bool odd);
  /// Emits all; what follows is another log, or no line.
  void flush();
  void begin_log() { before_.clear(); }

 private:
  struct Waiting {
    nlohmann::ordered_json object;
    std::size_t wanted = 0;  ///< Lines that are to follow.
    std::vector<std::string> after;
  };
  void emit_waiting(std::size_t keep);

  const std::size_t lines_;
  const Emit emit_;
  std::deque<std::string> before_;
  std::deque<Waiting> waiting_;
};

}  // namespace unroll
