// A pretrained transformer for CPUs, built like model/cpu/: weights are packed once, products run in tiles,
// the operations between them are fused into row loops, and buffers are reused from block to block. Computes
// what PretrainedTransformer defines, in fp32, bf16 or int8.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/cpu/packed_logits.h"
#include "model/cpu/packed_matrix.h"
#include "model/cpu/tile_attention.h"
#include "model/network.h"
#include "model/pretrained/transformer.h"

namespace unroll {

class PackedPretrained final : public Network {
 public:
  /// `definition` is on the CPU, and cpu_supports(arithmetic). Copies what it needs. Memories have the
  /// definition's type. `layer` returns a layer's weights when it is packed: `definition` has none, because
  /// there may not be room for all of them in fp32.
  PackedPretrained(const PretrainedTransformer& definition, Arithmetic arithmetic,
                   const std::function<PretrainedLayer(std::size_t)>& layer);
  PackedPretrained(const PretrainedTransformer& definition, Arithmetic arithmetic)
      : PackedPretrained(definition, arithmetic,
                         [&](std::size_t index) { return definition.weights().layers[index]; }) {}

  const NetworkShape& shape() const override { return shape_; }
  at::Device device() const override { return at::kCPU; }
  bool has_own_threads() const override { return true; }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override {
    return read(tokens, recurrence, nullptr);
  }
  bool continues_blocks() const override { return true; }
  at::Tensor continue_block(const at::Tensor& tokens, Recurrence& recurrence, BlockStart& start) override {
    return read(tokens, recurrence, &start);
  }
  std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) override;
  at::Tensor logits(const at::Tensor& hidden) override;

 private:
  struct Layer {
    at::Tensor attention_norm, feed_forward_norm;  // [dim]
    at::Tensor q_norm, k_norm;                     // [head_dim]; undefined: none; the same for biases
    PackedMatrix entry;                            // queries, keys, values
    at::Tensor entry_bias;                         // of queries, keys, values
    PackedMatrix out;
    at::Tensor out_bias;  // [dim]
    PackedMatrix up;      // gated: values and gates
    at::Tensor up_bias, gate_bias;
    PackedMatrix down;
    at::Tensor down_bias;  // [dim]
  };
  struct Shape {
    std::int64_t batch, length;
    std::int64_t rows() const { return batch * length; }
  };
  class Memory;

  Layer pack(const PretrainedLayer& layer);
  /// In int8, both sides of a product are multiplied by the same orthogonal matrix (QuaRot: Ashkboos et al.
  /// 2024, arXiv 2404.00456). The product does not change, but a row's few large numbers, which would
  /// determine its scale, become many moderate ones.
  bool mixes() const { return arithmetic_ == Arithmetic::kInt8; }
  /// A weight in the form that its product needs.
  at::Tensor mixed(const at::Tensor& weight);
  /// What a layer has of the document: its memory, and the block's first positions, before this piece and
  /// after it.
  struct Past {
    at::Tensor memory;  // undefined: none; the same for `start`
    at::Tensor start;
    bool keeps_start = false;  // else `start` is not needed after it
    bool fills_block = false;
  };

  /// Null `start`: the piece is a block, and not continued.
  at::Tensor read(const at::Tensor& tokens, Recurrence& recurrence, BlockStart* start);
  /// tokens [batch, length] -> x_
  void embed(const at::Tensor& tokens);
  /// Computes queries, keys and values of x_'s rows, and stores them for TileAttention and in `past`, whose
  /// memory is undefined afterwards unless they fill the block.
  void set_keys(const Layer& layer, Shape shape, Past& past);
  void attend(const Layer& layer, Shape shape, Past& past);
  void feed_forward(const Layer& layer, Shape shape);
  /// Sets `rows` as the left side of the next product, normalised if `norm` is defined.
  void activate(Rows rows, std::int64_t count, std::int64_t columns, const at::Tensor& norm = {});
  /// Adds the product to x_.
  void add_product(const Activations& activations, const PackedMatrix& weight, const at::Tensor& bias);

  const PretrainedConfig config_;
  const NetworkShape shape_;
  const Arithmetic arithmetic_, attention_arithmetic_;
  Machine machine_;
  at::Tensor embedding_;      // [num_tokens, dim], in bf16 unless the arithmetic is fp32
  at::Tensor cosine_, sine_;  // [positions, head_dim]
  std::vector<Layer> layers_;
  at::Tensor norm_;
  PackedLogits logits_;

  // Reused buffers.
  Activations activations_, gated_;
  Buffer x_, entry_, joined_, gated_rows_;
  PackedQueries queries_;
  PackedKeys keys_;
};

}  // namespace unroll
