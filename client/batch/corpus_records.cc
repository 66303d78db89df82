#include "client/batch/corpus_records.h"

#include <utility>

#include "client/batch/json_lines.h"
#include "client/batch/parquet_rows.h"
#include "client/batch/warc.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {
constexpr std::size_t kReadBytes = 256 * 1024;
}  // namespace

std::string too_long() {
  return "has more than " + std::to_string(CorpusRecords::kMostBytes >> 20) + " MiB";
}

void check(const CorpusFields& fields) {
  for (const auto& field : {fields.text, fields.id}) {
    if (!field.starts_with('/')) continue;
    try {
      const nlohmann::json::json_pointer pointer(field);
    } catch (const nlohmann::json::exception&) {
      throw CommandError(
          "the field '" + field + "' is no valid JSON Pointer: write ~0 for '~' and ~1 for '/' within a key",
          kExitUsage);
    }
  }
}

CorpusRecords::CorpusRecords(Source source, CorpusFields fields)
    : source_(std::move(source)), fields_(std::move(fields)) {}

std::unique_ptr<CorpusRecords> CorpusRecords::open(CorpusInput input, CorpusFields fields,
                                                   std::uint64_t skipped) {
  if (input.format == CorpusFormat::kParquet)
    return std::make_unique<ParquetRows>(std::move(input), fields, skipped);
  auto source = Source::of_file(std::move(input.name), std::move(input.file), input.size);
  std::unique_ptr<CorpusRecords> records;
  if (input.format == CorpusFormat::kWarc) {
    records = std::make_unique<Warc>(std::move(source), std::move(fields));
  } else {
    records = std::make_unique<JsonLines>(std::move(source), std::move(fields));
  }
  records->skip(skipped);
  return records;
}

void CorpusRecords::skip(std::uint64_t records) {
  for (const auto end = number_ + records; number_ < end; ++number_) {
    if (!advance()) throw CommandError(name() + ": has fewer records than an earlier run read");
  }
}

std::optional<CorpusRecord> CorpusRecords::next() {
  if (!advance()) return std::nullopt;
  CorpusRecord record{++number_};
  read(record);
  return record;
}

bool CorpusRecords::append(std::string& buffer) {
  if (ended_) return false;
  const auto bytes = source_.read(kReadBytes);
  ended_ = bytes.empty();
  buffer += bytes;
  return !ended_;
}

}  // namespace unroll
