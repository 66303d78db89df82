#include "plugins/builtin/records/traces.h"

#include <algorithm>

#include "plugins/builtin/records/characters.h"

namespace unroll::records {
namespace {

constexpr std::string_view kPythonBegin = "Traceback (most recent call last):";

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
bool is_indented(std::string_view text) {
  return !text.empty() && is_blank(text.front());
}

/// `name` of "a.b.CError: text", "CError [CODE]: text": dotted words at the line's beginning, up to ':' or
/// the line's end.
std::string_view exception_name(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() &&
         (is_alnum(text[end]) || text[end] == '.' || text[end] == '_' || text[end] == '$'))
    ++end;
  auto after = text.substr(end);
  if (after.starts_with(" [") && after.find(']') != std::string_view::npos)  // Node's codes
    after.remove_prefix(after.find(']') + 1);
  const bool whole = after.empty() || after.starts_with(": ") || after == ":";
  return whole ? text.substr(0, end) : std::string_view();
}

/// java.io.IOException: text, TypeError: text. Not "Error: text", which is also how programs report errors
/// that have no trace.
bool is_exception(std::string_view text) {
  const auto name = exception_name(text);
  const auto last = name.substr(name.rfind('.') + 1);
  const bool bare = name == "Error" || name == "Exception";
  return !bare && !last.empty() && is_upper(last.front()) &&
         (last.ends_with("Exception") || last.ends_with("Error"));
}

/// One step of Java, .NET or Node: at name(place), at async name (place), at place:12:3.
bool is_at_frame(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  if (rest.size() == text.size() || !rest.starts_with("at ")) return false;
  return has(rest, "(") || has(rest, " in ") || (has(rest, ":") && is_digit(rest.back())) ||
         rest.find(' ', 3) == std::string_view::npos;
}

/// ... 12 more, ... 3 common frames omitted, --- End of inner exception stack trace ---
bool is_between_frames(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  if (rest.starts_with("... ")) return rest.ends_with(" more") || rest.ends_with(" omitted");
  return rest.starts_with("--- End of ");
}

/// The exception that led to the one before.
bool is_cause(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  return rest.starts_with("Caused by: ") || rest.starts_with("Suppressed: ") || rest.starts_with("---> ") ||
         rest.starts_with("Wrapped by: ") || rest.starts_with("[cause]: ");
}

/// main.(*Server).run(0xc000, ...) or net/http.serve(...)
bool is_go_call(std::string_view text) {
  const auto open = text.rfind('(');
  if (!text.ends_with(')') || open == std::string_view::npos || open == 0) return false;
  const auto name = text.substr(0, open);
  return has(name, ".") && std::none_of(name.begin(), name.end(), is_blank);
}

bool continues_go(std::string_view text) {
  return text.empty() || text.front() == '\t' || is_go_call(text) || text.starts_with("goroutine ") ||
         text.starts_with("created by ") || text.starts_with("[signal ") || text.starts_with("exit status ");
}

/// 12: name, or the place of the one before.
bool continues_rust(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  if (text.starts_with("note: ") || text == "stack backtrace:") return true;
  if (rest.size() == text.size()) return false;
  const auto colon = rest.find(':');
  return rest.starts_with("at ") || (colon != std::string_view::npos && all_digits(rest.substr(0, colon)));
}

}  // namespace

LinePlace Traces::next(std::string_view text, bool after_problem) {
  if (in_ != In::kNothing) {
    const LinePlace place = in_trace(text);
    if (place != LinePlace::kRecord) return place;
    in_ = In::kNothing;
  }
  if (is_at_frame(text) || (is_between_frames(text) && is_indented(text))) {
    in_ = In::kFrames;
    return LinePlace::kFrame;
  }
  if (!begins(text) || !after_problem) return LinePlace::kRecord;
  return in_ == In::kPython ? LinePlace::kFrame : LinePlace::kTrace;  // Python's first line says nothing
}

/// Whether the line is the first of a trace.
bool Traces::begins(std::string_view text) {
  if (text.ends_with(kPythonBegin)) {
    in_ = In::kPython;
  } else if (text.starts_with("panic: ") || text.starts_with("fatal error: ") ||
             (text.starts_with("goroutine ") && text.ends_with("]:"))) {
    in_ = In::kGo;
  } else if (text.starts_with("thread '") && has(text, " panicked at ")) {
    in_ = text.ends_with(':') ? In::kRustMessage : In::kRust;
  } else if (is_exception(text) || text.starts_with("Exception in thread ") ||
             text.starts_with("Unhandled exception") || text.starts_with("Uncaught ")) {
    in_ = In::kFrames;
  }
  return in_ != In::kNothing;
}

LinePlace Traces::in_trace(std::string_view text) {
  const auto frame_if = [](bool is) { return is ? LinePlace::kFrame : LinePlace::kRecord; };
  switch (in_) {
    case In::kGo:
      return frame_if(continues_go(text));
    case In::kRustMessage:
      in_ = In::kRust;
      return LinePlace::kTrace;
    case In::kRust:
      return frame_if(continues_rust(text));
    case In::kFrames:
      if (is_at_frame(text) || is_between_frames(text)) return LinePlace::kFrame;
      return is_cause(text) ? LinePlace::kTrace : LinePlace::kRecord;
    default:
      return in_python(text);
  }
}

LinePlace Traces::in_python(std::string_view text) {
  if (in_ == In::kPython) {
    if (is_indented(text)) return LinePlace::kFrame;
    if (exception_name(text).empty()) return LinePlace::kRecord;
    in_ = In::kPythonMessage;
    return LinePlace::kTrace;
  }
  if (text.starts_with("During handling of the above") || text.starts_with("The above exception was")) {
    in_ = In::kPythonChain;
    return LinePlace::kFrame;
  }
  if (in_ == In::kPythonChain && text == kPythonBegin) {
    in_ = In::kPython;
    return LinePlace::kFrame;
  }
  return text.empty() ? LinePlace::kFrame : LinePlace::kRecord;
}

}  // namespace unroll::records
