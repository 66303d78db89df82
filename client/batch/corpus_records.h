// The records of a corpus's file, each of which is a document: JSON Lines, or the pages of a WARC file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "client/sources/source.h"

namespace unroll {

struct CorpusFields {
  /// Of JSON Lines: a key, or a JSON Pointer (RFC 6901), which begins with a slash.
  std::string text = "text";
  /// The same, or the name of a WARC header. Empty: the record's number in its file, or WARC-Target-URI.
  std::string id = {};
};

struct CorpusRecord {
  std::uint64_t number = 0;  ///< In its file, from 1. What is no document does not count.
  nlohmann::json id = {};    ///< Null if the record has none.
  std::string text = {};     ///< UTF-8.
  std::string problem = {};  ///< Why there is no text, without quoting the record; else empty.
};

enum class CorpusFormat { kJsonLines, kWarc };

/// Reads in memory that depends only on the longest record. Not thread-safe.
class CorpusRecords {
 public:
  /// A longer record is damaged.
  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;

  static std::unique_ptr<CorpusRecords> open(CorpusFormat format, Source source, CorpusFields fields);
  virtual ~CorpusRecords() = default;
  /// Skips what an earlier run has read. Throws CommandError if there are fewer records.
  void skip(std::uint64_t records);
  /// The next record, damaged or not; nullopt at the end of the file. Throws CommandError if the file cannot
  /// be read.
  std::optional<CorpusRecord> next();

 protected:
  CorpusRecords(Source source, CorpusFields fields);

  /// Goes to the next record; false at the end of the file.
  virtual bool advance() = 0;
  /// Sets id and text of the current record, or its problem.
  virtual void read(CorpusRecord& record) = 0;

  /// Appends bytes of the file to `buffer`; false at its end.
  bool append(std::string& buffer);
  const std::string& name() const { return source_.name(); }
  const CorpusFields& fields() const { return fields_; }

 private:
  Source source_;
  const CorpusFields fields_;
  bool ended_ = false;
  std::uint64_t number_ = 0;
};

/// What is said of a record that exceeds CorpusRecords::kMostBytes.
std::string too_long();

}  // namespace unroll
