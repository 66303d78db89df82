// The records of a corpus's file, each of which is a document: JSON Lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "client/sources/source.h"

namespace unroll {

/// Keys of a record, or JSON Pointers (RFC 6901), which begin with a slash.
struct CorpusFields {
  std::string text = "text";
  std::string id = {};  ///< Empty: a record's number is its id.
};

struct CorpusRecord {
  std::uint64_t number = 0;  ///< In its file, from 1. Blank lines do not count.
  nlohmann::json id = {};    ///< Null if the record has none.
  std::string text = {};     ///< UTF-8.
  std::string problem = {};  ///< Why there is no text, without quoting the record; else empty.
};

/// Reads JSON Lines in memory that depends only on the longest record. Not thread-safe.
class CorpusRecords {
 public:
  /// A longer record is damaged.
  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;

  CorpusRecords(Source source, CorpusFields fields);
  /// Skips what an earlier run has read. Throws CommandError if there are fewer records.
  void skip(std::uint64_t records);
  /// The next record, damaged or not; nullopt at the end of the file. Throws CommandError if the file cannot
  /// be read.
  std::optional<CorpusRecord> next();

 private:
  bool next_line();
  void skip_line();
  bool more();

  Source source_;
  const CorpusFields fields_;
  std::string buffer_;        ///< Bytes that were read and not yet split.
  std::size_t position_ = 0;  ///< Of the next line in buffer_.
  std::string_view line_;     ///< Borrowed from buffer_.
  bool too_long_ = false;     ///< The line exceeds kMostBytes; line_ is not set.
  bool ended_ = false;
  std::uint64_t number_ = 0;
};

}  // namespace unroll
