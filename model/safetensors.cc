#include "model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "base/strict_json.h"
#include "model/safetensors_file.h"
#include "model/safetensors_types.h"

namespace unroll {
namespace {

/// Borrows where the data is aligned for its type, else copies.
at::Tensor make_tensor(const SafetensorsFile& file, const StoredTensor& stored) {
  const auto type = std::ranges::find(kSafetensorsTypes, stored.dtype, &SafetensorsType::name)->type;
  if (stored.size == 0) return at::empty(stored.shape, type);
  if (reinterpret_cast<std::uintptr_t>(stored.data) % c10::elementSize(type) != 0) {
    auto copy = at::empty(stored.shape, type);
    std::memcpy(copy.mutable_data_ptr(), stored.data, stored.size);
    return copy;
  }
  return at::from_blob(
      const_cast<void*>(stored.data), stored.shape, [map = file.map](void*) {}, at::TensorOptions(type));
}

at::Tensor to_store(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined()) throw std::runtime_error("tensor " + shown(name) + " is undefined");
  return tensor.detach().to(at::kCPU).contiguous();
}

std::string_view dtype_of(const std::string& name, const at::Tensor& tensor) {
  const auto known = std::ranges::find(kSafetensorsTypes, tensor.scalar_type(), &SafetensorsType::type);
  if (known == kSafetensorsTypes.end())
    throw std::runtime_error("tensor " + shown(name) + " has the type " +
                             c10::toString(tensor.scalar_type()) +
                             ", which this program does not write to safetensors; convert it");
  return known->name;
}

}  // namespace

TensorMap read_safetensors(const std::filesystem::path& file, std::map<std::string, std::string>* metadata) {
  auto mapped = map_safetensors(file);
  TensorMap tensors;
  for (const auto& stored : mapped.tensors) tensors.emplace(stored.name, make_tensor(mapped, stored));
  if (metadata) *metadata = std::move(mapped.metadata);
  return tensors;
}

void write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> kept;
  std::vector<StoredTensor> stored;
  try {
    for (const auto& [name, tensor] : tensors) {
      const auto& whole = kept.emplace_back(to_store(name, tensor));
      stored.push_back(
          {name, dtype_of(name, whole), whole.sizes().vec(), whole.const_data_ptr(), whole.nbytes()});
    }
  } catch (const std::exception& error) {
    throw std::runtime_error(file.string() + ": cannot be written: " + error.what());
  }
  write_stored_tensors(file, std::move(stored), metadata);
}

}  // namespace unroll
