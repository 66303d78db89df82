// Memory that host and worker share: the host writes, the worker can only read. And where a block's arrays
// lie in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "unroll/plugin.h"

#include "base/unique_fd.h"
#include "plugins/worker/wire.h"

namespace unroll {

/// A memfd and its mapping. The host's is writable; sealed, so that nobody who gets the descriptor can change
/// or cut it.
class SharedMemory {
 public:
  /// The host's end. Throws std::system_error.
  explicit SharedMemory(std::size_t bytes);
  /// The worker's end, read-only. Throws wire::Error where the file is shorter than that.
  SharedMemory(UniqueFd descriptor, std::size_t bytes);
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  int descriptor() const { return descriptor_.get(); }

 private:
  void map(int protection);

  UniqueFd descriptor_;
  std::byte* data_ = nullptr;
  std::size_t size_;
};

/// How many bytes write_block() needs for what a plugin wants (UNROLL_WANT_*) of this block.
std::size_t block_bytes(const unroll_block& block, std::uint32_t wants, int top_k);
/// Copies it there; the frame "process", but for "instance". Throws PluginError where the hidden states are
/// not rows of floats in the CPU's memory.
nlohmann::json write_block(const unroll_block& block, std::uint32_t wants, int top_k,
                           const SharedMemory& arena);

/// The block of a "process" frame, as it lies in the arena. Throws wire::Error where it does not lie inside.
class ArenaBlock {
 public:
  ArenaBlock(const wire::Frame& frame, const SharedMemory& arena);
  ArenaBlock(const ArenaBlock&) = delete;
  ArenaBlock& operator=(const ArenaBlock&) = delete;
  const unroll_block& view() const { return block_; }

 private:
  unroll_block block_{};
  unroll_tensor hidden_{};
  std::array<std::int64_t, 2> shape_{};
};

}  // namespace unroll
