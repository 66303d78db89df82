// Routed memory: keys and values of a document's distant past, of which each position attends to the few
// segments that it is routed to. After Memorizing Transformers (Wu et al. 2022, arXiv 2203.08913: top-k keys
// for each query, kept from block to block) and CoLT5 (Ainslie et al. 2023, arXiv 2303.09752: routing learned
// through coordinate descent). Only a position and its own past decide its routes, so a token's score never
// depends on later tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/config.h"

namespace unroll {

/// The part of one full block. Immutable; the states of a document share it.
struct RoutedBlock {
  at::Tensor kv;      ///< [2 (k, v), batch, block_width, kv_dim], unrotated; in the stored type in inference,
                      ///< fp32 in training.
  at::Tensor scales;  ///< [2, batch, block_width, 1] fp32 if kv is int8, otherwise undefined.
  at::Tensor routes;  ///< [batch, segments, route_dim]: route keys, by which segments are found.

  at::Tensor visible;  ///< bool [batch]: rows that see it; undefined: all.

  std::size_t bytes() const;
  at::Tensor unpacked() const;  ///< kv in fp32.
};
using RoutedMemory = std::vector<std::shared_ptr<const RoutedBlock>>;  ///< Oldest first.

struct RoutedAttention {
  at::Tensor to_q;                    // [inner, dim]
  at::Tensor to_route_q, to_route_k;  // [route_dim, dim]
  Attention attention;                // with the layer's scale and norms
  std::int64_t heads = 0;
  std::int64_t segment = 0, top = 0;  // positions per segment; segments that a position attends to
  std::int64_t most_blocks = 0;
  at::ScalarType stored = at::kFloat;  // type of kv in inference: bf16 or int8

  /// x [batch, n, dim], the layer's normed input -> [batch, n, inner]; zeros if the memory is empty.
  at::Tensor read(const at::Tensor& x, const RoutedMemory& memory) const;
  /// Appends a full block: route keys of its positions, x times to_route_k [batch, block_width, route_dim],
  /// and its k and v. Drops the oldest block if there are more than most_blocks.
  RoutedMemory append(const RoutedMemory& memory, const at::Tensor& routes, const at::Tensor& k,
                      const at::Tensor& v) const;

 private:
  struct Routed {
    at::Tensor places;   ///< int64 [batch, n, top], of segments; the oldest is 0
    at::Tensor gates;    ///< [batch, n, top], all ones, but with gradients; undefined in inference
    at::Tensor visible;  ///< bool [batch, n, top]; undefined: all
  };
  Routed route(const at::Tensor& queries, const RoutedMemory& memory) const;
};

RoutedAttention make_routed_attention(const ModelConfig& config, const std::string& prefix,
                                      const Attention& attention, const FindParameter& parameter);

/// Maximum size of one document's routed memory, in bytes.
std::size_t routed_memory_bytes(const ModelConfig& config);

/// Coordinate descent for entropic top-k (Wright 2015, arXiv 1502.04759; as CoLT5 uses it): scores [..., n]
/// -> [..., n] from 0 to 1 that sum to at most k, near 1 for the k largest. Differentiable.
struct CoordinateDescent {
  double k = 1;
  int iterations = 20;
  double epsilon = 0.1;      ///< The lower, the closer to a hard choice.
  double first_epsilon = 4;  ///< Initial value; falls by `decay` each iteration (arXiv 1610.06519).
  double decay = 0.7;
  at::Tensor operator()(const at::Tensor& scores) const;
};

}  // namespace unroll
