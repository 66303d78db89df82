#include "plugins/worker/arena.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "plugins/hidden_rows.h"

namespace unroll {
namespace {

constexpr std::size_t kAlignment = 64;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(),
                          std::string("memory to share with a plugin's worker: ") + what);
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Rows of floats in the CPU's memory, `stride` apart.
struct Rows {
  const float* data;
  std::size_t rows, columns, stride;
};

Rows rows_of(const unroll_tensor& t) {
  constexpr std::int32_t kCpu = 1;
  constexpr std::uint8_t kFloat = 2;
  if (t.device_type != kCpu || t.dtype_code != kFloat || t.dtype_bits != 32 || t.dtype_lanes != 1 ||
      t.ndim != 2 || (t.strides != nullptr && t.strides[1] != 1)) {
    throw PluginError(UNROLL_ERROR_INTERNAL,
                      "hidden states are not rows of 32-bit floats in the CPU's memory; a plugin in a "
                      "worker cannot have them (plugins.in_process)");
  }
  const auto* data = reinterpret_cast<const float*>(static_cast<const char*>(t.data) + t.byte_offset);
  const auto columns = static_cast<std::size_t>(t.shape[1]);
  return {data, static_cast<std::size_t>(t.shape[0]), columns,
          t.strides != nullptr ? static_cast<std::size_t>(t.strides[0]) : columns};
}

/// Calls visit(name, source, rows, bytes per row, stride in bytes) for each wanted array, for measuring and
/// for copying.
template <class Visit>
void for_each_array(const unroll_block& block, std::uint32_t wants, int top_k, Visit visit) {
  const auto flat = [&](const char* name, const auto* data, std::size_t count) {
    visit(name, static_cast<const void*>(data), std::size_t{1}, count * sizeof *data, std::size_t{0});
  };
  flat("tokens", block.tokens, block.length);
  flat("offsets", block.offsets, block.length + 1);
  flat("logprobs", block.logprobs, block.length);
  if ((wants & UNROLL_WANT_ENTROPY) && block.entropy != nullptr) flat("entropy", block.entropy, block.length);
  if ((wants & UNROLL_WANT_WORD_END) && block.word_end != nullptr)
    flat("word_end", block.word_end, block.length);
  if ((wants & UNROLL_WANT_RANK) && block.ranks != nullptr) flat("ranks", block.ranks, block.length);
  if ((wants & UNROLL_WANT_TEXT) && block.text != nullptr) flat("text", block.text, block.text_bytes);
  if ((wants & UNROLL_WANT_HIDDEN) && block.hidden != nullptr) {
    const Rows rows = rows_of(*block.hidden);
    visit("hidden", static_cast<const void*>(rows.data), rows.rows, rows.columns * sizeof(float),
          rows.stride * sizeof(float));
  }
  if ((wants & UNROLL_WANT_TOP_K) && block.top_ids != nullptr) {
    // Other plugins may have asked for more alternatives than this one.
    const auto kept = static_cast<std::size_t>(std::min(block.top_k, top_k));
    const auto there = static_cast<std::size_t>(block.top_k);
    visit("top_ids", static_cast<const void*>(block.top_ids), block.length, kept * sizeof(std::int32_t),
          there * sizeof(std::int32_t));
    visit("top_logprobs", static_cast<const void*>(block.top_logprobs), block.length, kept * sizeof(float),
          there * sizeof(float));
  }
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : descriptor_(::memfd_create("unroll", MFD_CLOEXEC | MFD_ALLOW_SEALING)), size_(bytes) {
  if (!descriptor_) fail("memfd_create");
  if (::ftruncate(descriptor_.get(), static_cast<off_t>(bytes)) != 0) fail("ftruncate");
  map(PROT_READ | PROT_WRITE);  // before sealing: only this mapping stays writable
  if (::fcntl(descriptor_.get(), F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
    const int error = errno;
    ::munmap(data_, size_);
    errno = error;
    fail("sealing it");
  }
}

SharedMemory::SharedMemory(UniqueFd descriptor, std::size_t bytes)
    : descriptor_(std::move(descriptor)), size_(bytes) {
  struct stat status {};
  if (::fstat(descriptor_.get(), &status) != 0 || static_cast<std::size_t>(status.st_size) < bytes ||
      bytes == 0) {
    throw wire::Error("shared memory that is shorter than the " + std::to_string(bytes) + " bytes declared");
  }
  map(PROT_READ);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void SharedMemory::map(int protection) {
  void* at = ::mmap(nullptr, size_, protection, MAP_SHARED, descriptor_.get(), 0);
  if (at == MAP_FAILED) fail("mmap");
  data_ = static_cast<std::byte*>(at);
}

std::size_t block_bytes(const unroll_block& block, std::uint32_t wants, int top_k) {
  std::size_t bytes = 0;
  for_each_array(block, wants, top_k,
                 [&](const char*, const void*, std::size_t rows, std::size_t row, std::size_t) {
                   bytes += aligned(rows * row);
                 });
  return bytes;
}

nlohmann::json write_block(const unroll_block& block, std::uint32_t wants, int top_k,
                           const SharedMemory& arena) {
  nlohmann::json at = nlohmann::json::object();
  std::size_t offset = 0;
  for_each_array(
      block, wants, top_k,
      [&](const char* name, const void* data, std::size_t rows, std::size_t row, std::size_t stride) {
        at[name] = offset;
        for (std::size_t i = 0; i < rows && row > 0; ++i) {
          std::memcpy(arena.data() + offset + i * row, static_cast<const char*>(data) + i * stride, row);
        }
        offset += aligned(rows * row);
      });
  const bool hidden = at.contains("hidden"), text = at.contains("text"), top = at.contains("top_ids");
  return {{"type", "process"},
          {"index", block.index},
          {"first_token", block.first_token},
          {"length", block.length},
          {"top_k", top ? std::min(block.top_k, top_k) : 0},
          {"dim", hidden ? block.hidden->shape[1] : 0},
          {"text_bytes", text ? block.text_bytes : 0},
          {"at", std::move(at)}};
}

ArenaBlock::ArenaBlock(const wire::Frame& frame, const SharedMemory& arena) {
  const auto& at = frame.head.at("at");
  // `what` with `count` elements; NULL if it is absent.
  const auto place = [&]<class T>(const char* what, std::size_t count, const T*& pointer) {
    const auto it = at.find(what);
    if (it == at.end()) return;
    const auto offset = it->get<std::uint64_t>();
    if (offset % alignof(T) != 0 || offset > arena.size() || count > (arena.size() - offset) / sizeof(T)) {
      throw wire::Error(std::string("a block whose ") + what + " exceeds the arena");
    }
    pointer = reinterpret_cast<const T*>(arena.data() + offset);
  };
  block_.size = sizeof block_;
  block_.index = frame.number("index");
  block_.first_token = frame.number("first_token");
  block_.length = frame.number("length");
  block_.text_bytes = frame.number("text_bytes");
  const auto top_k = frame.number("top_k"), dim = frame.number("dim");
  constexpr std::uint64_t kMost = std::uint64_t{1} << 24;  // of each factor below
  if (block_.length > kMost || top_k > kMost || dim > kMost) throw wire::Error("a block that is too long");
  block_.top_k = static_cast<std::int32_t>(top_k);
  place("tokens", block_.length, block_.tokens);
  place("offsets", block_.length + 1, block_.offsets);
  place("logprobs", block_.length, block_.logprobs);
  place("entropy", block_.length, block_.entropy);
  place("word_end", block_.length, block_.word_end);
  place("ranks", block_.length, block_.ranks);
  place("text", block_.text_bytes, block_.text);
  place("top_ids", block_.length * top_k, block_.top_ids);
  place("top_logprobs", block_.length * top_k, block_.top_logprobs);
  const float* rows = nullptr;
  place("hidden", block_.length * dim, rows);
  if (rows == nullptr) return;
  shape_ = {static_cast<std::int64_t>(block_.length), static_cast<std::int64_t>(dim)};
  hidden_ = hidden_rows(rows, shape_);
  block_.hidden = &hidden_;
}

}  // namespace unroll
