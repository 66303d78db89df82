#include "model/block_state.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "model/hash.h"

namespace unroll {
namespace {

constexpr std::uint32_t kMagic = 0x33737275;   // "urs3"; change it with the format
constexpr std::uint16_t kFp32 = 0, kBf16 = 1;  // type of a tensor's numbers

class Writer {
 public:
  void put(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    if (size > 0) out_.insert(out_.end(), begin, begin + size);
  }
  template <typename T>
  void put(const T& value) {
    put(&value, sizeof value);
  }
  void put_numbers(const at::Tensor& tensor) {
    const auto compact = tensor.to(at::kCPU).contiguous();
    put(compact.const_data_ptr(), compact.nbytes());
  }
  void reserve(std::size_t size) { out_.reserve(size); }
  /// Appends a checksum over everything.
  std::vector<std::byte> take() {
    Hash hash;
    hash.add(out_.data(), out_.size());
    put(hash.value());
    return std::move(out_);
  }

 private:
  std::vector<std::byte> out_;
};

/// Reads what Writer wrote; checks every length against the remaining bytes.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {
    std::uint64_t expected = 0;
    if (bytes_.size() < sizeof expected) fail();
    bytes_ = bytes_.first(bytes_.size() - sizeof expected);
    std::memcpy(&expected, bytes_.data() + bytes_.size(), sizeof expected);
    Hash hash;
    hash.add(bytes_.data(), bytes_.size());
    if (hash.value() != expected) fail();
  }

  template <typename T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  at::Tensor tensor(at::ScalarType type) {
    const auto dimensions = get<std::uint16_t>();
    if (dimensions > 4 || get<std::uint16_t>() != (type == at::kBFloat16 ? kBf16 : kFp32)) fail();
    std::vector<std::int64_t> shape;
    std::size_t count = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      shape.push_back(get<std::int64_t>());
      if (shape.back() < 0 || static_cast<std::size_t>(shape.back()) > bytes_.size()) fail();
      count *= static_cast<std::size_t>(shape.back());
      if (count > bytes_.size()) fail();
    }
    if (count == 0) fail();
    return numbers(shape, type);
  }
  /// The counterpart of Writer::put_numbers().
  at::Tensor numbers(const std::vector<std::int64_t>& shape, at::ScalarType type) {
    auto result = at::empty(shape, type);
    std::memcpy(result.mutable_data_ptr(), take(result.nbytes()).data(), result.nbytes());
    return result;
  }
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) fail();
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  bool at_end() const { return bytes_.empty(); }
  [[noreturn]] static void fail() {
    throw std::runtime_error(
        "a saved model state is damaged or of another model; read the document again from its start");
  }

 private:
  std::span<const std::byte> bytes_;
};

/// A memory holds at least one block; older positions come before it.
bool is_memory(const at::Tensor& memory, const NetworkShape& shape) {
  return memory.dim() == 4 && memory.size(0) == 2 && memory.size(1) == 1 &&
         memory.size(2) >= shape.block_width && memory.size(2) <= shape.memory_length &&
         memory.size(3) == shape.kv_dim;
}

void write_routed(Writer& out, const RoutedMemory& routed) {
  out.put(static_cast<std::uint32_t>(routed.size()));
  for (const auto& block : routed) {
    out.put_numbers(block->kv);
    if (block->scales.defined()) out.put_numbers(block->scales);
    out.put_numbers(block->routes);
  }
}

RoutedMemory read_routed(Reader& reader, const NetworkShape& shape) {
  const auto count = reader.get<std::uint32_t>();
  if (count > shape.routed_blocks) Reader::fail();
  const auto width = shape.block_width;
  RoutedMemory routed;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto block = std::make_shared<RoutedBlock>();
    block->kv = reader.numbers({2, 1, width, shape.kv_dim}, shape.routed_int8 ? at::kChar : at::kBFloat16);
    if (shape.routed_int8) block->scales = reader.numbers({2, 1, width, 1}, at::kFloat);
    block->routes = reader.numbers({1, width / shape.routed_segment, shape.routed_dim}, at::kBFloat16);
    routed.push_back(std::move(block));
  }
  return routed;
}

Recurrence read_recurrence(Reader& reader, const NetworkShape& shape) {
  const auto memories = reader.get<std::uint32_t>();
  const auto states = reader.get<std::uint32_t>();
  if ((memories != 0 && memories != shape.depth) || states != shape.states) Reader::fail();
  Recurrence recurrence;
  for (std::uint32_t i = 0; i < memories; ++i) {
    recurrence.memories.push_back(reader.tensor(shape.memory_type));
    if (!is_memory(recurrence.memories.back(), shape)) Reader::fail();
  }
  const std::vector<std::int64_t> state_shape{1, shape.num_state_vectors, shape.dim};
  for (std::uint32_t i = 0; i < states; ++i) {
    recurrence.states.push_back(reader.tensor(at::kFloat));
    if (recurrence.states.back().sizes() != state_shape) Reader::fail();
  }
  recurrence.routed = read_routed(reader, shape);
  return recurrence;
}

}  // namespace

std::shared_ptr<const Recurrence> BlockState::recurrence() const {
  const std::lock_guard lock(mutex_);
  return recurrence_;
}

bool BlockState::is_spilled() const {
  const std::lock_guard lock(mutex_);
  return is_spilled_;
}

void BlockState::spill() const {
  auto leaving = *recurrence();
  auto routed = std::exchange(leaving.routed, {});
  auto here = std::make_shared<Recurrence>(leaving.to(at::kCPU));
  here->routed = std::move(routed);
  const std::lock_guard lock(mutex_);
  recurrence_ = std::move(here);
  is_spilled_ = true;
}

std::size_t BlockState::device_bytes() const {
  return is_spilled() ? 0 : recurrence()->bytes();
}

std::size_t BlockState::bytes() const {
  const auto held = recurrence();
  std::size_t total = sizeof *this + (cache ? cache->bytes() : 0) + held->bytes();
  for (const auto& block : held->routed) total += block->bytes();
  return total;
}

std::vector<std::byte> BlockState::serialize() const {
  const auto held = recurrence();
  Writer out;
  out.reserve(bytes());
  out.put(kMagic);
  out.put(checkpoint_);
  out.put(last_token);
  out.put(static_cast<std::uint32_t>(held->memories.size()));
  out.put(static_cast<std::uint32_t>(held->states.size()));
  for (const auto* tensors : {&held->memories, &held->states}) {
    for (const auto& tensor : *tensors) {
      const auto compact = tensor.to(at::kCPU).contiguous();
      out.put(static_cast<std::uint16_t>(compact.dim()));
      out.put(static_cast<std::uint16_t>(compact.scalar_type() == at::kBFloat16 ? kBf16 : kFp32));
      out.put(compact.sizes().data(), compact.sizes().size() * sizeof(std::int64_t));
      out.put(compact.const_data_ptr(), compact.nbytes());
    }
  }
  write_routed(out, held->routed);
  const auto cached = cache ? cache->serialize() : std::vector<std::byte>();
  out.put(static_cast<std::uint64_t>(cached.size()));
  out.put(cached.data(), cached.size());
  return out.take();
}

std::shared_ptr<const BlockState> BlockState::deserialize(std::span<const std::byte> bytes,
                                                          const NetworkShape& shape,
                                                          std::uint64_t checkpoint) {
  Reader reader(bytes);
  if (reader.get<std::uint32_t>() != kMagic || reader.get<std::uint64_t>() != checkpoint) Reader::fail();
  const auto last_token = reader.get<std::int32_t>();
  if (last_token < 0 || last_token >= shape.num_tokens) Reader::fail();
  auto recurrence = read_recurrence(reader, shape);
  const auto cached = reader.take(reader.get<std::uint64_t>());
  if (!reader.at_end() || cached.empty() != (shape.document_cache_tokens == 0)) Reader::fail();
  std::shared_ptr<const DocumentCache> cache;
  if (!cached.empty()) {
    cache = std::make_shared<const DocumentCache>(
        DocumentCache::deserialize(cached, shape.num_tokens, shape.document_cache_tokens));
  }
  return std::make_shared<const BlockState>(std::move(recurrence), last_token, std::move(cache), checkpoint);
}

std::uint64_t fingerprint(std::string_view config, const TensorMap& parameters, std::string_view dtype) {
  Hash hash;
  const auto text = std::string(config).append(dtype);
  hash.add(text.data(), text.size());
  for (const auto& [name, tensor] : parameters) {
    const auto compact = tensor.to(at::kCPU).contiguous();
    hash.add(name.data(), name.size());
    hash.add(compact.const_data_ptr(), compact.nbytes());
  }
  return hash.value();
}

}  // namespace unroll
