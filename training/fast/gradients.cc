#include "training/fast/gradients.h"

#include <stdexcept>

#include <ATen/ATen.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {

Gradients::Gradients(const TensorMap& parameters) {
  for (const auto& [name, tensor] : parameters) {
    if (!BlockRecurrentTransformer::is_trainable(name)) continue;
    if (!tensor.is_contiguous() || tensor.scalar_type() != at::kFloat || !tensor.is_cpu())
      throw std::logic_error(name + " is not a contiguous fp32 tensor on the CPU");
    auto& gradient = tensors_[name] = at::zeros_like(tensor.detach());
    places_[tensor.const_data_ptr()] = gradient.mutable_data_ptr<float>();
  }
}

void Gradients::clear() {
  for (auto& [name, gradient] : tensors_) gradient.zero_();
}

float* Gradients::of(const at::Tensor& parameter) const {
  return places_.at(parameter.const_data_ptr());
}

Vector Gradients::vector(const at::Tensor& parameter) const {
  return {parameter.const_data_ptr<float>(), of(parameter), parameter.numel()};
}

RotaryRows::RotaryRows(const RotaryTables& tables) : width_(tables.query_tables().cosine.size(0)) {
  const auto rows = [](const at::Tensor& table) {
    return at::constant_pad_nd(table.t(), {0, kTileRows}).contiguous();
  };
  q_cosine_ = rows(tables.query_tables().cosine);
  q_sine_ = rows(tables.query_tables().sine);
  k_cosine_ = rows(tables.key_tables().cosine);
  k_sine_ = rows(tables.key_tables().sine);
}

Rotation RotaryRows::last(std::int64_t queries, std::int64_t keys) const {
  const auto from = [](const at::Tensor& table, std::int64_t position) {
    return table.const_data_ptr<float>() + position;
  };
  return {from(q_cosine_, width_ - queries), from(q_sine_, width_ - queries), from(k_cosine_, width_ - keys),
          from(k_sine_, width_ - keys), width_ + kTileRows};
}

}  // namespace unroll
