// The last product of a network, logits, and what is computed from them: log-probabilities, entropies, the
// most probable tokens. Each tile of logits is processed while it is in the cache; the logits of a whole row
// never exist.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/cpu/packed_matrix.h"
#include "model/network.h"

namespace unroll {

/// One thread at a time.
class PackedLogits {
 public:
  /// weight [num_tokens, dim].
  PackedLogits(const at::Tensor& weight, Arithmetic arithmetic);
  /// Appends the results that the blocks ask for. `rows`: the positions of the first block, then those of the
  /// next one.
  void score(const Activations& rows, std::span<const Scored> blocks, Machine& machine);
  /// fp32 [rows, num_tokens]
  at::Tensor all(const Activations& rows, Machine& machine) const;

 private:
  /// Calls seen(row, first token, logits) for all logits, a tile at a time, from several threads.
  template <typename Seen>
  void each(const Activations& rows, Machine& machine, const Seen& seen) const;
  struct Distribution {
    double log_sum;  // of exp(logit)
    float entropy;
  };
  /// Of a row of `sums` [rows, groups].
  Distribution distribution(std::span<const SoftmaxSums> sums, std::size_t row) const;
  void append_ranks(const Activations& rows, std::span<const Scored> blocks, std::span<const float> targets,
                    Machine& machine) const;

  PackedMatrix weight_;
  std::vector<SoftmaxSums> sums_;         // [rows, groups of the weight's columns]
  std::vector<SoftmaxSums> member_sums_;  // the same of the members only
};

}  // namespace unroll
