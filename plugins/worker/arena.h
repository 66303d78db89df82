// Memory shared by host and worker, which only the host can write, and the layout of a block's arrays
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

/// A memfd and its mapping, which is writable in the host. It is sealed: other holders of the descriptor
/// cannot write or truncate it.
class SharedMemory {
 public:
  /// In the host. Throws std::system_error.
  explicit SharedMemory(std::size_t bytes);
  /// In the worker, read-only. Throws wire::Error if the file is shorter than `bytes`.
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

/// The bytes that write_block() needs for the fields of this block that a plugin wants (UNROLL_WANT_*).
std::size_t block_bytes(const unroll_block& block, std::uint32_t wants, int top_k);
/// Copies them to `arena`. Returns the "process" frame without "instance". Throws PluginError if the hidden
/// states are not rows of floats in the CPU's memory.
nlohmann::json write_block(const unroll_block& block, std::uint32_t wants, int top_k,
                           const SharedMemory& arena);

/// The block of a "process" frame, in the arena. Throws wire::Error if it exceeds the arena.
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
