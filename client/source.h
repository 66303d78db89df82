// A document to read: an open file, or standard input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/unique_fd.h"

namespace unroll {

/// One thread. Owns its descriptor (for "-": a copy of standard input's, which shares its position).
class Source {
 public:
  /// `argument`: a path, or "-". Throws CommandError (missing, a folder, not readable).
  static Source open(const std::string& argument);

  const std::string& name() const { return name_; }  ///< For people: the path, or "standard input".
  int descriptor() const { return descriptor_.get(); }
  std::optional<std::uint64_t> total_bytes() const { return total_bytes_; }  ///< Where known.
  /// The descriptor may be handed to another process, which then reads the whole document from it: a regular
  /// file at its beginning, or a pipe. What else there is (a terminal, a socket) goes through a pipe.
  bool can_be_handed_over() const { return handed_over_as_is_; }

  /// Makes text() possible: copies what is not a regular file to a temporary file first. Throws CommandError.
  void keep_text();
  /// Bytes [begin, end) of the document; fewer where the file has become shorter. Throws CommandError.
  std::string text(std::uint64_t begin, std::uint64_t end) const;
  /// The document's next bytes, at most `limit`; empty at its end. Throws CommandError.
  std::string read(std::size_t limit);

 private:
  void look_at_file();

  std::string name_;
  UniqueFd descriptor_;
  std::optional<std::uint64_t> total_bytes_;
  std::uint64_t base_ = 0;  ///< Where the document begins in a regular file.
  bool regular_ = false;
  bool handed_over_as_is_ = false;
};

}  // namespace unroll
