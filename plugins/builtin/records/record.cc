#include "plugins/builtin/records/record.h"

#include <algorithm>
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
  carried.time = std::string(line.substr(0, space));
  return carried;
}

/// {"log":"text\n","stream":"stdout","time":"..."}: docker's json-file. Text without a newline continues.
std::optional<Carried> from_docker(std::string_view line) {
  if (!line.starts_with("{\"log\":\"")) return std::nullopt;
  const auto fields = json_fields(line);
  if (fields.size() < 2 || fields[1].key != "stream" || !fields[0].is_text) return std::nullopt;
  Carried carried;
  carried.text = fields[0].value;
  carried.continues = !carried.text.ends_with('\n');
  while (carried.text.ends_with('\n') || carried.text.ends_with('\r')) carried.text.pop_back();
  carried.text = terminal_text(carried.text);  // its escape sequences were escaped
  if (const auto* time = find_field(fields, std::initializer_list<std::string_view>{"time"}))
    carried.time = time->value;
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

/// By the field that holds the level.
std::optional<RecordFacts> level_of_json(std::string_view text, const std::vector<JsonField>& fields) {
  for (const JsonField& field : fields) {
    if (!is_level_key(field.key)) continue;
    const auto severity = severity_of_level(field.key, field.value);
    if (!severity) continue;
    const auto name = field.key.substr(field.key.rfind('.') + 1);
    return facts_of_level({*severity, text.find("\"" + name + "\"")});
  }
  return std::nullopt;
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
  const auto brace = text.find("{\"");
  const bool before_is_short = brace != std::string_view::npos && brace < 128;
  return before_is_short && (brace == 0 || text.ends_with('}')) ? brace : std::string_view::npos;
}

}  // namespace

Carried carried_text(std::string_view line) {
  if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (auto carried = from_cri(line)) return *std::move(carried);
  if (auto carried = from_docker(line)) return *std::move(carried);
  if (auto carried = from_syslog(line)) return *std::move(carried);
  Carried carried;
  carried.text = std::string(line);
  return carried;
}

RecordFacts record_facts(std::string_view text, std::optional<int> carrier_level) {
  const auto from_carrier = [&](int words) {
    return carrier_level ? facts_of_level({*carrier_level, std::string_view::npos})
                         : RecordFacts{words, false};
  };
  if (const auto begin = begin_of_json(text); begin != std::string_view::npos) {
    const auto fields = json_fields(text.substr(begin));
    if (const auto level = level_of_json(text, fields)) return *level;
    if (!fields.empty()) {
      // zap for people: time, level, caller, message, then the fields.
      if (const auto level = find_level(text.substr(0, begin))) return facts_of_level(*level);
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
  // The header ends at the first ": " and has no other blanks than those of its time and host.
  const auto colon = text.find(": ");
  if (colon == std::string_view::npos || colon > 100) return text;
  const auto header = text.substr(0, colon);
  if (looks_like(header, "aaa 99 99:99:99 ") || looks_like(header, "aaa  9 99:99:99 ") ||
      (header.ends_with(']') && header.find(' ') == std::string_view::npos) ||
      (looks_like(header, "9999-99-99T99:99:99") && header.ends_with(']')))
    return text.substr(colon + 2);
  return text;
}

}  // namespace unroll::records
