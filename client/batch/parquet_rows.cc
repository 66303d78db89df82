#include "client/batch/parquet_rows.h"

#include <memory>
#include <utility>
#include <vector>

#include "client/cli/command_error.h"
#include "client/sources/program_pump.h"

namespace unroll {
namespace {

Source rows_of(CorpusInput input, const CorpusFields& fields, std::uint64_t skipped) {
  auto pump = std::make_unique<ProgramPump>(
      input.name, std::move(input.file), "unroll-parquet",
      std::vector<std::string>{"--rows", fields.text, fields.id, std::to_string(skipped)});
  return Source::pumped(std::move(input.name), std::move(pump));
}

}  // namespace

ParquetRows::ParquetRows(CorpusInput input, const CorpusFields& fields, std::uint64_t skipped)
    : JsonLines(rows_of(std::move(input), fields, skipped), fields) {
  count_skipped(skipped);
}

/// Of a line {"text" or "problem", "id", "position"}.
void ParquetRows::read(CorpusRecord& record) {
  if (fields().id.empty()) record.id = record.number;
  if (is_too_long()) {
    record.problem = too_long();
    return;
  }
  auto row = nlohmann::json::parse(line());
  position_ = row.at("position").get<std::uint64_t>();
  if (!fields().id.empty()) record.id = row.at("id");
  if (row.contains("problem")) {
    record.problem = row["problem"].get<std::string>();
  } else {
    record.text = row.at("text").get<std::string>();
  }
}

}  // namespace unroll
