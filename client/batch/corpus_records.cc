#include "client/batch/corpus_records.h"

#include <utility>

#include "client/batch/json_lines.h"
#include "client/batch/warc.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {
constexpr std::size_t kReadBytes = 256 * 1024;
}  // namespace

std::string too_long() {
  return "has more than " + std::to_string(CorpusRecords::kMostBytes >> 20) + " MiB";
}

CorpusRecords::CorpusRecords(Source source, CorpusFields fields)
    : source_(std::move(source)), fields_(std::move(fields)) {}

std::unique_ptr<CorpusRecords> CorpusRecords::open(CorpusFormat format, Source source, CorpusFields fields) {
  if (format == CorpusFormat::kWarc) return std::make_unique<Warc>(std::move(source), std::move(fields));
  return std::make_unique<JsonLines>(std::move(source), std::move(fields));
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
