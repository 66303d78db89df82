// Decompresses a gzip, xz, zstd or bzip2 file, including files of several members.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/sources/pump.h"

namespace unroll {

enum class Compression { kGzip, kXz, kZstd, kBzip2 };

/// Detected from the file's bytes at `offset`; nullopt if not compressed or not seekable.
std::optional<Compression> compression_of(int file, std::uint64_t offset);
/// By the first bytes.
std::optional<Compression> compression_of(std::string_view begin);

/// Uses constant memory. A damaged or truncated file is an error, also if only its checksum shows it.
class DecompressPump : public Pump {
 public:
  /// The compressed bytes are [begin, end) of `file`; `name` is used in errors.
  DecompressPump(std::string name, UniqueFd file, std::uint64_t begin, std::uint64_t end,
                 Compression compression);
  ~DecompressPump() override;
  std::uint64_t begin(std::uint64_t) override { return 0; }  // decompression cannot start in the middle
  void run(int pipe, int stop) override;

  class Decoder;

 private:
  std::string read_compressed();

  std::string name_;
  UniqueFd file_;
  std::uint64_t position_, end_;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace unroll
