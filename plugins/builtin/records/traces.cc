#include "plugins/builtin/records/traces.h"

#include <algorithm>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/levels.h"

namespace unroll::records {
namespace {

constexpr std::string_view kPythonBegin = "Traceback (most recent call last):";
constexpr std::string_view kPythonDump = "(most recent call first):";  // faulthandler's
constexpr std::size_t kIndentation = 4;  // blanks before a line that belongs to the problem before it

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
bool is_indented(std::string_view text) {
  return !text.empty() && is_blank(text.front());
}
bool is_empty(std::string_view text) {
  return without_leading_blanks(text).empty();
}

/// `name` of "a.b.CError: text", "CError [CODE]: text": dotted words at the line's beginning, up to ':' or
/// the line's end.
std::string_view exception_name(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() &&
         (is_alnum(text[end]) || std::string_view("._$<>").find(text[end]) != std::string_view::npos))
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
  const bool bare = name == "Error" || name == "Exception", dotted = last.size() < name.size();
  return !bare && !last.empty() && is_upper(last.front()) &&
         (last.ends_with("Exception") || last.ends_with("Error") ||
          (dotted && (last.ends_with("Throwable") || last.ends_with("Fault") || last.ends_with("Failure"))));
}

/// One step of Java, .NET or Node: at name(place), at async name (place), at place:12:3.
bool is_at_frame(std::string_view text) {
  auto rest = without_leading_blanks(text);
  if (rest.size() == text.size() || !rest.starts_with("at ")) return false;
  if (rest.ends_with(" {")) rest.remove_suffix(2);  // Node: the error's properties follow
  return has(rest, "(") || has(rest, " in ") || (has(rest, ":") && is_digit(rest.back())) ||
         rest.find(' ', 3) == std::string_view::npos;
}

/// ... 12 more, ... 3 common frames omitted, --- End of inner exception stack trace ---
bool is_between_frames(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  if (rest.starts_with("... ")) return rest.ends_with(" more") || rest.ends_with(" omitted");
  return rest.starts_with("--- End of ") || rest.starts_with("[CIRCULAR REFERENCE");
}

/// Ruby: `from a.rb:12:in 'run'`, a.rb:12:in `run'; PHP: #0 /srv/a.php(12): run()
bool is_other_frame(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  if (rest.starts_with('#')) {
    const auto blank = std::min(rest.find(' '), rest.size());
    const auto place = without_leading_blanks(rest.substr(blank));
    return blank > 1 && all_digits(rest.substr(1, blank - 1)) &&
           (place.starts_with('/') || place.starts_with('{') || place.starts_with("0x") ||
            place.starts_with("[internal"));
  }
  const auto in = rest.find(":in ");
  const bool named = in != std::string_view::npos && in > 0 && is_digit(rest[in - 1]) &&
                     in + 4 < rest.size() && (rest[in + 4] == '`' || rest[in + 4] == '\'');
  return named && rest.find(": ") == std::string_view::npos;
}

/// /srv/app.js:12, node:internal/process/promises:288
bool is_node_place(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() || !all_digits(text.substr(colon + 1)) ||
      text.find(' ') != std::string_view::npos)
    return false;
  const auto file = text.substr(0, colon);
  return file.starts_with("node:") || file.ends_with("js") || file.ends_with(".ts");
}

/// The exception that led to the one before.
bool is_cause(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  return rest.starts_with("Caused by:") || rest.starts_with("Suppressed: ") || rest.starts_with("---> ") ||
         rest.starts_with("Wrapped by: ") || rest.starts_with("[cause]: ");
}

/// main.(*Server).run(0xc000, ...) or net/http.serve(...)
bool is_go_call(std::string_view text) {
  const auto open = text.rfind('(');
  if (!text.ends_with(')') || open == std::string_view::npos || open == 0) return false;
  const auto name = text.substr(0, open);
  return has(name, ".") && std::none_of(name.begin(), name.end(), is_blank);
}

/// A name with a package: no blanks.
bool is_go_name(std::string_view text) {
  const auto slash = text.rfind('/');
  const auto name = text.substr(slash == std::string_view::npos ? 0 : slash + 1);
  const auto dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && !text.ends_with('.') &&
         text.find_first_of(" \t=:\"") == std::string_view::npos;
}

/// github.com/a/b.(*Server).Run, main.main: as zap and pkg/errors write the steps of a stack.
bool is_go_function(std::string_view text) {
  if (!is_go_name(text)) return false;
  const auto host = text.substr(0, text.find('/'));
  const auto dot = host.rfind('.');
  const bool module = host.size() < text.size() && dot != std::string_view::npos && dot > 0 &&
                      dot + 2 < host.size() &&
                      std::all_of(host.begin() + static_cast<std::ptrdiff_t>(dot) + 1, host.end(), is_letter);
  return module || text == "main.main" || text == "runtime.main" || text == "runtime.goexit" ||
         has(text, ".(*") || has(text, ".func");
}

bool continues_go(std::string_view text) {
  const bool place = is_indented(text) && (text.front() == '\t' || has(text, ".go:"));
  return text.empty() || place || is_go_call(text) || is_go_name(text) || text.starts_with("goroutine ") ||
         text.starts_with("created by ") || text.starts_with("[signal ") ||
         text.starts_with("exit status ") || text.starts_with("...additional frames elided");
}

/// 12: name, the place of the one before, or more of the message (assert_eq!: "  left: 1").
bool continues_rust(std::string_view text) {
  return is_indented(text) || text.empty() || text.starts_with("note: ") ||
         ascii::lower(text) == "stack backtrace:";
}

/// ERROR, [error]; not the key of a field (`err: {`).
bool has_level(std::string_view text) {
  const auto level = find_level(text);
  return level && (!(text[level->at] >= 'a' && text[level->at] <= 'z') ||
                   (level->at > 0 && text[level->at - 1] == '['));
}

/// Indented more than text is, and without a level or a time of its own.
bool belongs_to_problem(std::string_view text) {
  const auto rest = without_leading_blanks(text);
  const bool deep = text.starts_with('\t') || text.size() - rest.size() >= kIndentation;
  return deep && !rest.empty() && !looks_like(rest, "9999-99-99") && !looks_like(rest, "99:99") &&
         !has_level(text);
}

}  // namespace

LinePlace Traces::next(std::string_view text, bool after_problem) {
  if (in_ != In::kNothing) {
    const LinePlace place = in_trace(text);
    if (place != LinePlace::kRecord) return place;
    in_ = In::kNothing;
  }
  const bool ruby = is_indented(text) && without_leading_blanks(text).starts_with("from ");
  if (is_at_frame(text) || (is_between_frames(text) && is_indented(text)) || (ruby && is_other_frame(text)) ||
      (after_problem && is_other_frame(text))) {
    in_ = In::kFrames;
    return LinePlace::kFrame;
  }
  if (begins(text)) {
    if (!after_problem) return LinePlace::kRecord;
    return in_ == In::kPython ? LinePlace::kFrame : LinePlace::kTrace;  // Python's first line says nothing
  }
  if (!after_problem) return LinePlace::kRecord;
  if (is_empty(text)) return LinePlace::kFrame;
  if (is_cause(text)) {
    in_ = In::kFrames;
    return LinePlace::kTrace;
  }
  if (!belongs_to_problem(text)) return LinePlace::kRecord;
  in_ = In::kIndented;
  return LinePlace::kTrace;
}

/// Whether the line is the first of a trace.
bool Traces::begins(std::string_view text) {
  if (text.ends_with(kPythonBegin) || text.ends_with(kPythonDump) ||
      (text.starts_with("  File \"") && has(text, "\", line "))) {
    in_ = In::kPython;
  } else if (text.starts_with("panic: ") || text.starts_with("fatal error: ") || is_go_function(text) ||
             (text.starts_with("goroutine ") && text.ends_with("]:"))) {
    in_ = In::kGo;
  } else if (text.starts_with("thread '") && has(text, " panicked at ")) {
    in_ = text.ends_with(':') ? In::kRustMessage : In::kRust;
  } else if (is_node_place(text)) {
    in_ = In::kNodePlace;
  } else if (is_exception(text) || text.starts_with("Exception in thread ") || text == "Stack trace:" ||
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
      return is_cause(text) ? LinePlace::kTrace : frame_if(continues_rust(text));
    case In::kFrames:
      return in_frames(text);
    case In::kNodePlace:
      if (is_indented(text) || text.empty()) return LinePlace::kFrame;
      if (exception_name(text).empty() && !text.starts_with('[')) return LinePlace::kRecord;
      in_ = In::kFrames;
      return LinePlace::kTrace;
    case In::kIndented:
      if (!is_indented(text) || has_level(text)) return frame_if(text.empty());
      return is_at_frame(text) || is_between_frames(text) ? LinePlace::kFrame : LinePlace::kTrace;
    default:
      return in_python(text);
  }
}

/// After an exception or a step: steps, the properties that Node prints of an error, the rest of a message.
LinePlace Traces::in_frames(std::string_view text) {
  if (is_cause(text)) return LinePlace::kTrace;
  const bool closes = !text.empty() && text.find_first_not_of("}])") == std::string_view::npos;
  const bool continues = is_indented(text) || text.empty() || closes || is_between_frames(text) ||
                         is_other_frame(text) || text.starts_with("Node.js v");
  return continues ? LinePlace::kFrame : LinePlace::kRecord;
}

LinePlace Traces::in_python(std::string_view text) {
  if (in_ == In::kPython) {
    if (is_indented(text)) return LinePlace::kFrame;
    if (exception_name(text).empty() || find_level(text)) return LinePlace::kRecord;
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
  return text.empty() || is_indented(text) ? LinePlace::kFrame : LinePlace::kRecord;
}

}  // namespace unroll::records
