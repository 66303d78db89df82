// A document to read: a file, what is in a compressed one, standard input, or what a Pump makes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "client/sources/pump.h"

namespace unroll {

/// One thread. Owns its descriptor (for "-": a copy of standard input's, which shares its position).
class Source {
 public:
  /// `argument`: a path, or "-". A regular file that is gzip, xz or zstd by its first bytes reads as what is
  /// in it. Throws CommandError (missing, a folder, not readable).
  static Source open(const std::string& argument);
  /// As open(), of a regular file that is open already: the first `size` bytes of it, and no more where it
  /// grows. Becoming shorter is an error.
  static Source of_file(std::string name, UniqueFd file, std::uint64_t size);
  static Source pumped(std::string name, std::unique_ptr<Pump> pump);

  const std::string& name() const { return name_; }  ///< For people: the path, or "standard input".
  /// To poll: readable when read() will not wait.
  int descriptor() const { return pump_ ? pump_->descriptor() : descriptor_.get(); }
  std::optional<std::uint64_t> total_bytes() const { return total_bytes_; }  ///< Where known.
  /// The descriptor may be handed to another process, which then reads the whole document from it: a regular
  /// file at its beginning, or a pipe.
  bool can_be_handed_over() const { return handed_over_as_is_; }
  /// It can be read again by whoever has its descriptor.
  bool is_file() const { return regular_; }

  /// Makes text() possible: copies what is not a regular file to a temporary file first. Throws CommandError.
  void keep_text();
  /// Bytes [begin, end) of the document; fewer where the file has become shorter. Throws CommandError.
  std::string text(std::uint64_t begin, std::uint64_t end) const;
  /// The reading goes on at document offset `from` (0 for a new one); returns the offset of the first byte
  /// that read() will give, `from` or before. Call once, before the first read(). Throws CommandError.
  std::uint64_t begin(std::uint64_t from);
  /// The document's next bytes, at most `limit`; empty at its end. Throws CommandError, the pump's own, too.
  std::string read(std::size_t limit);

 private:
  void look_at_file();
  void decompress();

  std::string name_;
  UniqueFd descriptor_;
  std::unique_ptr<PumpThread> pump_;  ///< Where there is one, it is read instead.
  std::optional<std::uint64_t> total_bytes_;
  std::optional<std::uint64_t> rest_;  ///< Bytes still to be read, where no more are wanted.
  std::uint64_t base_ = 0;             ///< Where the document begins in a regular file.
  bool regular_ = false;
  bool handed_over_as_is_ = false;
};

}  // namespace unroll
