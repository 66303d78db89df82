#include "plugins/builtin/records/record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/json_fields.h"
#include "plugins/builtin/records/terminal_text.h"

namespace unroll::records {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kMessageKeys[] = {"msg",   "message",       "MESSAGE", "@message", "@m",
                                             "@mt",   "short_message", "body",    "Message",  "log",
                                             "event", "text",          "M"};
// What went wrong, of records without a level.
constexpr std::string_view kProblemKeys[] = {"error", "err", "exception", "err.message", "error.message"};

/// 2026-03-02T08:00:00.123456789Z stdout F text: the container runtime interface.
std::optional<Carried> from_cri(std::string_view line) {
  if (!looks_like(line, "9999-99-99T99:99:99")) return std::nullopt;
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto rest = line.substr(space + 1);
  if (!rest.starts_with("stdout ") && !rest.starts_with("stderr ")) return std::nullopt;
  const auto tag = rest.substr(7);
  if (tag.empty() || (tag[0] != 'F' && tag[0] != 'P') || (tag.size() > 1 && tag[1] != ' '))
    return std::nullopt;
  Carried carried;
  carried.text = std::string(tag.substr(std::min<std::size_t>(2, tag.size())));
  carried.continues = tag[0] == 'P';
  carried.stream = rest.starts_with("stderr") ? Stream::kStderr : Stream::kStdout;
  carried.time = std::string(line.substr(0, space));
  return carried;
}

using Keys = std::initializer_list<std::string_view>;

/// {"log":"text\n","stream":"stdout","time":"..."}: docker's json-file. Text without a newline continues.
/// Objects with more fields are other programs'.
std::optional<Carried> from_docker(std::string_view line) {
  if (!line.starts_with('{') || line.find("\"log\"") == std::string_view::npos) return std::nullopt;
  const auto fields = json_fields(line);
  const auto* log = find_field(fields, Keys{"log"});
  const auto* stream = find_field(fields, Keys{"stream"});
  const bool is_docker = std::all_of(fields.begin(), fields.end(), [](const JsonField& field) {
    return field.key == "log" || field.key == "stream" || field.key == "time" ||
           field.key.starts_with("attrs.");
  });
  if (log == nullptr || stream == nullptr || !is_docker || !log->is_text) return std::nullopt;
  Carried carried;
  carried.text = log->value;
  carried.continues = !carried.text.ends_with('\n');
  carried.stream = stream->value == "stderr" ? Stream::kStderr : Stream::kStdout;
  while (carried.text.ends_with('\n') || carried.text.ends_with('\r')) carried.text.pop_back();
  carried.text = terminal_text(carried.text);  // its escape sequences were escaped
  if (const auto* time = find_field(fields, Keys{"time"})) carried.time = time->value;
  return carried;
}

/// An entry of `journalctl -o json`, as `follow --journal` reads it: name[process]: message. What a service
/// prints has priority 6, whatever it says.
std::optional<Carried> from_journald(std::string_view line) {
  if (!line.starts_with('{') || line.find("\"MESSAGE\"") == std::string_view::npos) return std::nullopt;
  const auto fields = json_fields(line);
  const auto value = [&](Keys keys) {
    const auto* field = find_field(fields, keys);
    return field == nullptr ? std::string() : field->value;
  };
  const auto* message = find_field(fields, Keys{"MESSAGE"});
  const bool is_entry = find_field(fields, Keys{"__CURSOR", "__REALTIME_TIMESTAMP", "PRIORITY",
                                                "SYSLOG_IDENTIFIER", "_TRANSPORT"}) != nullptr;
  if (message == nullptr || !is_entry) return std::nullopt;
  Carried carried;
  const std::string name = value({"SYSLOG_IDENTIFIER", "_COMM"}), process = value({"SYSLOG_PID", "_PID"});
  if (!name.empty()) carried.text = name + (process.empty() ? "" : "[" + process + "]") + ": ";
  carried.text += terminal_text(message->value);
  carried.time = value({"__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"});
  const std::string priority = value({"PRIORITY"});
  const bool stated = priority != "6" || value({"_TRANSPORT"}) != "stdout";
  if (stated) carried.level = severity_of_level("PRIORITY", priority);
  return carried;
}

/// <34>text: the priority of syslog, facility * 8 + severity.
std::optional<Carried> from_syslog(std::string_view line) {
  if (line.size() < 3 || line[0] != '<' || !is_digit(line[1])) return std::nullopt;
  int priority = 0;
  const auto end = std::from_chars(line.data() + 1, line.data() + line.size(), priority);
  const auto after = static_cast<std::size_t>(end.ptr - line.data());
  if (priority > 191 || after >= line.size() || after > 4 || line[after] != '>') return std::nullopt;
  Carried carried;
  carried.text = std::string(line.substr(after + 1));
  carried.level = severity_of_syslog(priority % 8);
  return carried;
}

RecordFacts facts_of_level(WrittenLevel level) {
  return {std::max(level.severity, 0), true, level.severity == kDetail, level.at};
}

/// How certain it is that the field states the record's level, 0 most; nullopt if it does not.
std::optional<int> rank_of_level(const JsonField& field) {
  const bool is_number = !field.value.empty() && is_digit(field.value[0]);
  if (is_level_key(field.key)) return (is_weak_level_key(field.key) ? 3 : 0) + (is_number ? 1 : 0);
  const auto dot = field.key.rfind('.');
  const bool nested = dot != std::string::npos && is_level_key(field.key.substr(dot + 1));
  return nested && field.is_text && !is_number ? std::optional(2) : std::nullopt;
}

/// By the field that holds the level.
std::optional<RecordFacts> level_of_json(std::string_view text, const std::vector<JsonField>& fields) {
  std::optional<RecordFacts> best;
  int best_rank = 5;
  for (const JsonField& field : fields) {
    const auto rank = rank_of_level(field);
    if (!rank || *rank >= best_rank) continue;
    const auto severity = severity_of_level(field.key, field.value);
    if (!severity) continue;
    const auto name = field.key.substr(field.key.rfind('.') + 1);
    best = facts_of_level({*severity, text.find("\"" + name + "\"")});
    best_rank = *rank;
  }
  return best;
}

bool says_nothing(const std::string& value) {
  return value.empty() || value == "null" || value == "false" || value == "0" || value == "<nil>";
}

int severity_of_json_words(const std::vector<JsonField>& fields) {
  const auto* problem = find_field(fields, kProblemKeys);
  if (problem != nullptr && !says_nothing(problem->value)) return 2;
  const auto* message = find_field(fields, kMessageKeys);
  return message != nullptr ? severity_of_words(message->value) : 0;
}

/// A whole line of JSON, or one after a name (`web-1  | {...}`); npos if there is none.
std::size_t begin_of_json(std::string_view text) {
  constexpr std::size_t kMostBefore = 256;
  const auto brace = text.find('{');
  if (brace == std::string_view::npos || brace > kMostBefore) return std::string_view::npos;
  const bool is_object = without_leading_blanks(text.substr(brace + 1)).starts_with('"');
  return is_object && (brace == 0 || text.ends_with('}')) ? brace : std::string_view::npos;
}

void erase_all(std::string& text, std::string_view part) {
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at))
    text.erase(at, part.size());
}

/// The length of a colour's sequence at the text's beginning of which the escape character was written as
/// text (rsyslog: #033[31m) or lost ([31m); else 0.
std::size_t spelt_colour_length(std::string_view text, bool may_be_lost) {
  constexpr std::string_view kSpelt[] = {"#033[", "^[[", "\\u001b[", "\\x1b[", "\\033[", "\\e["};
  std::size_t begin = may_be_lost && text.starts_with('[') ? 1 : 0;
  for (const auto spelt : kSpelt) {
    if (ascii::lower(text.substr(0, spelt.size())) == spelt) begin = spelt.size();
  }
  if (begin == 0) return 0;
  std::size_t end = begin;
  while (end < text.size() && end < begin + 16 && (is_digit(text[end]) || text[end] == ';')) ++end;
  return end < text.size() && text[end] == 'm' ? end + 1 : 0;
}

/// Removes such sequences.
void erase_spelt_colours(std::string& text) {
  if (text.find('[') == std::string::npos) return;
  // Without the escape character only if a colour is also reset: [5m] may be five minutes.
  const bool lost = text.find("[0m") != std::string::npos && text.find("[0m") != text.find('[');
  for (std::size_t i = 0; i < text.size();) {
    const bool may_begin = std::string_view("[#^\\").find(text[i]) != std::string_view::npos;
    const std::size_t length = may_begin ? spelt_colour_length(std::string_view(text).substr(i), lost) : 0;
    if (length > 0)
      text.erase(i, length);
    else
      ++i;
  }
}

/// `web-1  | text` (docker compose), `[pod/a/b] text` (kubectl): the text.
std::string_view after_source(std::string_view text) {
  if (text.starts_with("[pod/")) {
    const auto end = text.find("] ");
    return end == std::string_view::npos ? text : text.substr(end + 2);
  }
  const auto bar = text.find("| ");
  if (bar == std::string_view::npos || bar == 0 || bar > 64) return text;
  const auto name = without_trailing_blanks(text.substr(0, bar));
  const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alnum(c) || c == '_' || c == '-' || c == '.';
  });
  return is_name && !all_digits(name) ? text.substr(bar + 2) : text;
}

/// Of RFC 5424, after its version: `1 TIME HOST APP PROCESS MESSAGE [DATA] text`.
std::string_view after_rfc5424(std::string_view text) {
  for (int fields = 0; fields < 6; ++fields)
    text = text.substr(std::min(text.find(' '), text.size() - 1) + 1);
  if (text.starts_with('-')) return text.substr(std::min<std::size_t>(2, text.size()));
  while (text.starts_with('[')) {
    bool quoted = false;
    std::size_t end = 1;
    for (; end < text.size() && (quoted || text[end] != ']'); ++end) {
      if (text[end] == '\\')
        ++end;
      else if (text[end] == '"')
        quoted = !quoted;
    }
    text = text.substr(std::min(end + 1, text.size()));
  }
  return text.starts_with(' ') ? text.substr(1) : text;
}

}  // namespace

Carried carried_text(std::string_view line) {
  if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  Carried carried;
  carried.text = std::string(line);
  for (const auto from : {from_cri, from_docker, from_journald, from_syslog}) {
    auto found = from(line);
    if (!found) continue;
    carried = *std::move(found);
    break;
  }
  // Before syslog's message, and where files were joined.
  erase_all(carried.text, kByteOrderMark);
  erase_spelt_colours(carried.text);
  return carried;
}

Carried carried_record(std::string_view lines) {
  std::array<Carried, 2> streams;
  Stream last = Stream::kStdout;
  for (std::size_t begin = 0; begin <= lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    Carried carried = carried_text(lines.substr(begin, end - begin));
    begin = end + 1;
    last = carried.stream;
    Carried& open = streams.at(static_cast<std::size_t>(last));
    if (open.continues) {
      open.text += carried.text;
      open.continues = carried.continues;
    } else {
      open = std::move(carried);
    }
  }
  return streams.at(static_cast<std::size_t>(last));
}

RecordFacts record_facts(std::string_view text, std::optional<int> carrier_level) {
  const auto from_carrier = [&](int words) {
    return carrier_level ? facts_of_level({*carrier_level, std::string_view::npos})
                         : RecordFacts{words, false};
  };
  if (const auto begin = begin_of_json(text); begin != std::string_view::npos) {
    const auto fields = json_fields(text.substr(begin));
    // zap for people: time, level, caller, message, then the fields.
    const auto before = fields.empty() ? std::nullopt : find_level(text.substr(0, begin));
    if (before) return facts_of_level(*before);
    if (const auto level = level_of_json(text, fields)) return *level;
    if (!fields.empty()) {
      // Some programs write a level as text into the message.
      const auto* message = find_field(fields, kMessageKeys);
      const auto level = message == nullptr ? std::nullopt : find_level(message->value);
      if (level) return facts_of_level({level->severity, std::string_view::npos});
      return from_carrier(severity_of_json_words(fields));
    }
  }
  if (const auto level = find_level(text)) return facts_of_level(*level);
  return from_carrier(severity_of_words(text));
}

std::string_view after_header(std::string_view text) {
  text = after_source(text);
  if (looks_like(text, "9 9999-99-99T99:99:99")) return after_rfc5424(text);
  // The header ends at the first ": " and has no other blanks than those of its time and host.
  const auto colon = text.find(": ");
  const auto header = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  if (header.size() <= 100 &&
      (looks_like(header, "aaa 99 99:99:99 ") || looks_like(header, "aaa  9 99:99:99 ") ||
       (header.ends_with(']') && header.find(' ') == std::string_view::npos) ||
       (looks_like(header, "9999-99-99T99:99:99") && header.ends_with(']'))))
    return text.substr(colon + 2);
  if (!looks_like(text, "9999-99-99T99:99:99")) return text;
  // kubectl, GitHub: a time before each line.
  const auto end = text.find_first_not_of("0123456789-:.,+TZ");
  return end == std::string_view::npos || text[end] != ' ' ? text : text.substr(end + 1);
}

}  // namespace unroll::records
