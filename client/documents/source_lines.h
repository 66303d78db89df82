// Line numbers by byte offset in a file.
#pragma once

#include <cstdint>
#include <vector>

#include "client/sources/source.h"

namespace unroll {

/// Not thread-safe.
class SourceLines {
 public:
  /// `source`: a regular file. `line_end`: '\n' or '\r'.
  SourceLines(Source source, char line_end) : source_(std::move(source)), line_end_(line_end) {}
  /// From 1. Reads the file up to `offset` once.
  std::uint64_t line_at(std::uint64_t offset);

 private:
  Source source_;
  char line_end_;
  std::vector<std::uint64_t> lines_before_ = {0};  ///< Of each piece of the file.
};

}  // namespace unroll
