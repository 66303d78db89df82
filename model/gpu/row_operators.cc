#include "model/gpu/row_operators.h"

#include <cstdint>
#include <limits>

#include <ATen/ATen.h>

namespace unroll {
namespace {

template <typename Number>
const Number* read(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<Number>() : nullptr;
}

template <typename Number>
Number* written(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<Number>() : nullptr;
}

/// Calls do_it(Number()) with the C++ type of the scalar type.
template <typename Do>
void with_number(at::ScalarType type, Do&& do_it) {
  if (type == at::kBFloat16) return do_it(c10::BFloat16());
  do_it(float());
}

template <typename Number>
HeadCopy<Number> copy_of(const RowOperators::Heads& heads) {
  const auto& [from, to, begin, scale, tables] = heads;
  const auto count = to.size(2), dim = to.size(3);
  TORCH_CHECK(from.size(2) == count * dim && from.stride(2) == 1 && to.is_contiguous(),
              "heads do not lie as a copy takes them");
  HeadCopy<Number> copy{};
  if (from.scalar_type() == at::kFloat)
    copy.floats = read<float>(from);
  else
    copy.numbers = read<Number>(from);
  copy.document_stride = from.stride(0);
  copy.stride = from.stride(1);
  copy.documents = from.size(0);
  copy.length = from.size(1);
  copy.heads = count;
  copy.scale = read<float>(scale);
  copy.cosine = read<float>(tables.cosine);
  copy.sine = read<float>(tables.sine);
  copy.out = written<Number>(to);
  copy.out_length = to.size(1);
  copy.out_begin = begin;
  return copy;
}

}  // namespace

void RowOperators::add(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share) const {
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    machine_.run(ResidualNorm<Number>{written<float>(x), read<Number>(branch), read<float>(share), nullptr,
                                      nullptr, nullptr, nullptr, x.size(1), 0},
                 x.size(0));
  });
}

at::Tensor RowOperators::add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share,
                                  const LayerNorm& norm, const at::Tensor& places) const {
  auto normed = at::empty(x.sizes(), x.options().dtype(numbers_));
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    machine_.run(
        ResidualNorm<Number>{written<float>(x), read<Number>(branch), read<float>(share),
                             read<float>(norm.gamma), read<float>(norm.beta), read<float>(places),
                             written<Number>(normed), x.size(1), places.defined() ? places.size(0) : 0},
        x.size(0));
  });
  return normed;
}

at::Tensor RowOperators::gelu_gate(const at::Tensor& in) const {
  const auto width = in.size(1) / 2;
  auto out = at::empty({in.size(0), width}, in.options());
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    machine_.run(GeluGate<Number>{read<Number>(in), written<Number>(out), width}, in.size(0));
  });
  return out;
}

at::Tensor RowOperators::update_state(const at::Tensor& before, const at::Tensor& z, const at::Tensor& bias,
                                      const at::Tensor& share) const {
  auto after = at::empty(before.sizes(), before.options());
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    machine_.run(StateUpdate<Number>{read<float>(before), read<Number>(z), read<float>(bias),
                                     read<float>(share), written<float>(after), z.size(1)},
                 z.size(0));
  });
  return after;
}

void RowOperators::copy_heads(std::span<const Heads> heads) const {
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    HeadCopies<Number> copies;
    TORCH_CHECK(heads.size() <= HeadCopies<Number>::kMost, "more copies than a launch takes");
    copies.dim = heads.front().to.size(3);
    for (const auto& each : heads) copies.add(copy_of<Number>(each));
    TORCH_CHECK(copies.rows <= std::numeric_limits<std::int32_t>::max(), "a launch of ", copies.rows,
                " heads");
    machine_.run(copies, copies.rows);
  });
}

void RowOperators::score(const at::Tensor& logits, std::int64_t num_tokens, const at::Tensor& targets,
                         const at::Tensor& logprobs, const at::Tensor& entropies) const {
  with_number(numbers_, [&](auto number) {
    using Number = decltype(number);
    machine_.run(Score<Number>{read<Number>(logits), read<std::int64_t>(targets), written<float>(logprobs),
                               written<float>(entropies), num_tokens, logits.stride(0)},
                 logits.size(0));
  });
}

}  // namespace unroll
