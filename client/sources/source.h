// A document to read: a file, the content of a compressed file, standard input, a text, or a Pump's output.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "client/sources/pump.h"

namespace unroll {

/// Not thread-safe. Owns its descriptor (for "-": a duplicate of standard input's, with the same position).
class Source {
 public:
  /// `argument`: a path, or "-". A regular file that starts as gzip, xz, zstd or bzip2 is decompressed.
  /// Throws CommandError (missing, a folder, not readable).
  static Source open(const std::string& argument);
  /// As open(), for the first `size` bytes of a regular file that is already open; more bytes are ignored,
  /// fewer are an error.
  static Source of_file(std::string name, UniqueFd file, std::uint64_t size);
  /// In memory. `name` is for people.
  static Source of_text(std::string name, std::string_view text);
  /// `total`: how many bytes there will be, for progress, if known.
  static Source pumped(std::string name, std::unique_ptr<Pump> pump,
                       std::optional<std::uint64_t> total = std::nullopt);

  const std::string& name() const { return name_; }  ///< For people: the path, or "standard input".
  /// To poll: readable when read() will not wait.
  int descriptor() const { return pump_ ? pump_->descriptor() : descriptor_.get(); }
  std::optional<std::uint64_t> total_bytes() const { return total_bytes_; }  ///< If known.
  /// Whether another process can read the whole document from the descriptor: a regular file at its
  /// beginning, or a pipe.
  bool can_be_handed_over() const { return handed_over_as_is_; }
  /// Whether it can be read again through its descriptor.
  bool is_file() const { return regular_; }
  bool is_compressed() const { return compressed_; }  ///< And is decompressed.
  /// If is_file(): where the document begins in the descriptor's file.
  std::uint64_t base() const { return base_; }

  /// Makes text() possible: copies anything but a regular file to a temporary file, and decompresses it.
  /// Throws CommandError, also if it is longer than `most` bytes.
  void keep_text(std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
  /// If it is a compressed file: reads what is in it. Done by open() and of_file().
  void decompress();
  /// Bytes [begin, end) of the document; fewer if the file was truncated. Throws CommandError.
  std::string text(std::uint64_t begin, std::uint64_t end) const;
  /// Starts reading for document offset `from` (0 for a new document). Returns the offset of the first byte
  /// that read() will return, at or before `from`. Call once, before the first read(). Throws CommandError.
  std::uint64_t begin(std::uint64_t from);
  /// The document's next bytes, at most `limit`; empty at its end. Throws CommandError, also the pump's.
  std::string read(std::size_t limit);

 private:
  void look_at_file();

  std::string name_;
  UniqueFd descriptor_;
  std::unique_ptr<PumpThread> pump_;  ///< If set, it is read instead of descriptor_.
  std::optional<std::uint64_t> total_bytes_;
  std::optional<std::uint64_t> rest_;  ///< Bytes left to read, if limited.
  std::uint64_t base_ = 0;             ///< Offset of the document in a regular file.
  bool regular_ = false;
  bool compressed_ = false;
  bool handed_over_as_is_ = false;
};

}  // namespace unroll
