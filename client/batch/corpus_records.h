// The records of a corpus's file, each of which is a document: JSON Lines, the rows of a Parquet file, or the
// pages of a WARC file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "client/sources/source.h"

namespace unroll {

struct CorpusFields {
  /// Of JSON Lines and Parquet: a key or column; if there is none of that name, keys with dots between them;
  /// or a JSON Pointer (RFC 6901), which begins with a slash.
  std::string text = "text";
  /// The same, or the name of a WARC header. Empty: the record's number in its file, or WARC-Target-URI.
  std::string id = {};
};

struct CorpusRecord {
  std::uint64_t number = 0;  ///< In its file, from 1. What is no document does not count.
  nlohmann::json id = {};    ///< Null if the record has none, or it is no single value.
  std::string text = {};     ///< UTF-8.
  std::string problem = {};  ///< Why there is no text, without quoting the record; else empty.
};

/// Throws CommandError if a field is no valid JSON Pointer.
void check(const CorpusFields& fields);

enum class CorpusFormat { kJsonLines, kParquet, kWarc };

/// A file that is open at its beginning.
struct CorpusInput {
  CorpusFormat format = CorpusFormat::kJsonLines;
  std::string name;
  UniqueFd file;
  std::uint64_t size = 0;
};

/// Reads in memory that depends only on the longest record. Not thread-safe.
class CorpusRecords {
 public:
  /// A longer record is damaged.
  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;

  /// Without the first `skipped` records, which an earlier run has read. Throws CommandError if there are
  /// fewer.
  static std::unique_ptr<CorpusRecords> open(CorpusInput input, CorpusFields fields, std::uint64_t skipped);
  virtual ~CorpusRecords() = default;
  /// The next record, damaged or not; nullopt at the end of the file. Throws CommandError if the file cannot
  /// be read.
  std::optional<CorpusRecord> next();
  /// How many bytes of the file the current record ends after, if that is not the file's own offset.
  virtual std::optional<std::uint64_t> position() const { return std::nullopt; }

 protected:
  CorpusRecords(Source source, CorpusFields fields);
  /// The source begins after these records.
  void count_skipped(std::uint64_t records) { number_ = records; }

  /// Goes to the next record; false at the end of the file.
  virtual bool advance() = 0;
  /// Sets id and text of the current record, or its problem.
  virtual void read(CorpusRecord& record) = 0;

  /// Appends bytes of the file to `buffer`; false at its end.
  bool append(std::string& buffer);
  const std::string& name() const { return source_.name(); }
  const CorpusFields& fields() const { return fields_; }

 private:
  void skip(std::uint64_t records);

  Source source_;
  const CorpusFields fields_;
  bool ended_ = false;
  std::uint64_t number_ = 0;
};

/// What is said of a record that exceeds CorpusRecords::kMostBytes.
std::string too_long();

}  // namespace unroll
