// Stack traces: which lines belong to the record before them. Knows the traces of Java, Python, Go, Node,
// .NET, Rust, Ruby and PHP. After a problem, lines that are indented like them belong to it as well.
#pragma once

#include <cstdint>
#include <string_view>

namespace unroll::records {

enum class LinePlace : std::uint8_t {
  kRecord,  ///< The line begins a record.
  kTrace,   ///< It continues the record before it: an exception's message, the cause of another, more text.
  kFrame,   ///< It continues it: one step of the stack, what belongs to it, or an empty line.
};

/// One object for one log.
class Traces {
 public:
  /// The place of the next line. `text`: without syslog's header. `after_problem`: whether the record before
  /// it is a warning or worse; then a trace belongs to that record, else it begins one.
  LinePlace next(std::string_view text, bool after_problem);

  void visit(auto& archive) { archive(in_); }

 private:
  /// What was read last.
  enum class In : std::uint8_t {
    kNothing,
    kPython,
    kPythonMessage,
    kPythonChain,
    kGo,
    kRustMessage,
    kRust,
    kFrames,
    kNodePlace,  // /srv/app.js:12, before the source line and the exception
    kIndented
  };
  LinePlace in_trace(std::string_view text);
  LinePlace in_python(std::string_view text);
  LinePlace in_frames(std::string_view text);
  bool begins(std::string_view text);

  In in_ = In::kNothing;
};

}  // namespace unroll::records
