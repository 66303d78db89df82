// The rows of a Parquet file, which unroll-parquet (libexec/unroll/) writes as JSON Lines.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "client/batch/json_lines.h"

namespace unroll {

class ParquetRows final : public JsonLines {
 public:
  /// Without the first `skipped` rows.
  ParquetRows(CorpusInput input, const CorpusFields& fields, std::uint64_t skipped);
  /// Estimated by the rows of each row group. Thread-safe.
  std::optional<std::uint64_t> position() const override { return position_; }

 private:
  void read(CorpusRecord& record) override;

  std::atomic<std::uint64_t> position_{0};
};

}  // namespace unroll
