#include "client/batch/json_lines.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/strict_json.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr int kMostNesting = 100;

/// Null if there is no such value.
const nlohmann::json* find_key(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

/// "doc.body": of nested objects.
const nlohmann::json* find_below(const nlohmann::json& record, const std::string& keys) {
  const auto* value = &record;
  for (std::size_t begin = 0, end = 0; value != nullptr && end != std::string::npos; begin = end + 1) {
    end = keys.find('.', begin);
    value = find_key(*value, keys.substr(begin, end - begin));
  }
  return value;
}

const nlohmann::json* find(const nlohmann::json& record, const std::string& field) {
  if (field.starts_with('/')) {
    const nlohmann::json::json_pointer pointer(field);
    return record.contains(pointer) ? &record.at(pointer) : nullptr;
  }
  const auto* const value = find_key(record, field);
  return value != nullptr ? value : find_below(record, field);
}

/// Sets text and id, or the problem.
void parse(std::string_view line, const CorpusFields& fields, CorpusRecord& record) {
  try {
    auto object = parse_strict_json(line, {.depth = kMostNesting});
    if (!object.is_object()) {
      record.problem = "is not a JSON object";
      return;
    }
    if (const auto* id = fields.id.empty() ? nullptr : find(object, fields.id); id && id->is_primitive())
      record.id = *id;
    const auto* text = find(object, fields.text);
    if (text && text->is_string()) {
      record.text = text->get<std::string>();
    } else {
      record.problem = (text ? "has no text in its field '" : "has no field '") + fields.text + "'";
    }
  } catch (const JsonError& error) {
    record.problem = std::string("is not JSON: ") + error.what();
  }
}

}  // namespace

JsonLines::JsonLines(Source source, CorpusFields fields)
    : CorpusRecords(std::move(source), std::move(fields)) {}

void JsonLines::read(CorpusRecord& record) {
  if (record.number == 1 && !too_long_ && ascii::trimmed(line_).starts_with('['))
    throw CommandError(name() +
                       " holds a JSON array, not JSON Lines; put each record on a line of its own, as 'jq -c "
                       ".[]' does");
  if (fields().id.empty()) record.id = record.number;
  if (too_long_) {
    record.problem = too_long();
  } else {
    parse(line_, fields(), record);
  }
}

/// To the next line that is not blank.
bool JsonLines::advance() {
  do {
    too_long_ = false;
    auto end = buffer_.find('\n', position_);
    while (end == std::string::npos) {
      const auto searched = buffer_.size() - position_;
      too_long_ = searched > kMostBytes;
      if (too_long_) {
        skip_line();
        return true;
      }
      buffer_.erase(0, std::exchange(position_, 0));
      if (!append(buffer_)) break;
      end = buffer_.find('\n', searched);
    }
    if (end == std::string::npos && position_ == buffer_.size()) return false;
    end = std::min(end, buffer_.size());
    line_ = std::string_view(buffer_).substr(position_, end - position_);
    position_ = std::min(end + 1, buffer_.size());
  } while (ascii::is_blank(line_));
  return true;
}

/// Skips the rest of a line whose beginning fills the buffer.
void JsonLines::skip_line() {
  position_ = 0;
  std::size_t end = std::string::npos;
  do {
    buffer_.clear();
    if (!append(buffer_)) return;
    end = buffer_.find('\n');
  } while (end == std::string::npos);
  position_ = end + 1;
}

}  // namespace unroll
