#include "client/batch/corpus_records.h"

#include <algorithm>
#include <utility>

#include "base/strict_json.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr int kMostNesting = 100;

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// Null if there is no such value.
const nlohmann::json* find(const nlohmann::json& record, const std::string& field) {
  if (!field.starts_with('/')) {
    const auto found = record.find(field);
    return found == record.end() ? nullptr : &*found;
  }
  const nlohmann::json::json_pointer pointer(field);
  return record.contains(pointer) ? &record.at(pointer) : nullptr;
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

CorpusRecords::CorpusRecords(Source source, CorpusFields fields)
    : source_(std::move(source)), fields_(std::move(fields)) {}

void CorpusRecords::skip(std::uint64_t records) {
  for (const auto end = number_ + records; number_ < end; ++number_) {
    if (!next_line()) throw CommandError(source_.name() + ": has fewer records than an earlier run read");
  }
}

std::optional<CorpusRecord> CorpusRecords::next() {
  if (!next_line()) return std::nullopt;
  CorpusRecord record{++number_};
  if (std::exchange(too_long_, false)) {
    record.problem = "has more than " + std::to_string(kMostBytes >> 20) + " MiB";
  } else {
    parse(line_, fields_, record);
  }
  return record;
}

/// Appends bytes to the buffer; false at the end of the file.
bool CorpusRecords::more() {
  if (ended_) return false;
  const auto bytes = source_.read(kReadBytes);
  ended_ = bytes.empty();
  buffer_ += bytes;
  return !ended_;
}

/// The next line that is not blank.
bool CorpusRecords::next_line() {
  do {
    auto end = buffer_.find('\n', position_);
    while (end == std::string::npos) {
      const auto searched = buffer_.size() - position_;
      too_long_ = searched > kMostBytes;
      if (too_long_) {
        skip_line();
        return true;
      }
      buffer_.erase(0, std::exchange(position_, 0));
      if (!more()) break;
      end = buffer_.find('\n', searched);
    }
    if (end == std::string::npos && position_ == buffer_.size()) return false;
    end = std::min(end, buffer_.size());
    line_ = std::string_view(buffer_).substr(position_, end - position_);
    position_ = std::min(end + 1, buffer_.size());
  } while (is_blank(line_));
  return true;
}

/// Skips the rest of a line whose beginning fills the buffer.
void CorpusRecords::skip_line() {
  position_ = 0;
  std::size_t end = std::string::npos;
  do {
    buffer_.clear();
    if (!more()) return;
    end = buffer_.find('\n');
  } while (end == std::string::npos);
  position_ = end + 1;
}

}  // namespace unroll
