// What is in a file that is compressed with gzip, xz or zstd, several members one behind another included.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/sources/pump.h"

namespace unroll {

enum class Compression { kGzip, kXz, kZstd };

/// By the file's bytes at `offset`; nullopt for one that is not compressed, or cannot be read at a position.
std::optional<Compression> compression_of(int file, std::uint64_t offset);

/// Constant memory. A file that is damaged or cut off is an error, also where its check sum alone says so.
class DecompressPump : public Pump {
 public:
  /// The compressed bytes are [begin, end) of `file`; `name`: for errors.
  DecompressPump(std::string name, UniqueFd file, std::uint64_t begin, std::uint64_t end,
                 Compression compression);
  ~DecompressPump() override;
  std::uint64_t begin(std::uint64_t) override { return 0; }  // no format here can be entered in the middle
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
