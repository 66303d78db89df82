// What all networks have in common as seen from outside: what they read, and what a document's state consists
// of. Internal to model/.
#pragma once

#include <cstddef>
#include <cstdint>

#include <c10/core/ScalarType.h>

#include "model/config.h"

namespace unroll {

struct NetworkShape {
  std::int64_t num_tokens = 0, dim = 0, depth = 0, block_width = 0;
  std::int32_t first_input = 0;            ///< The token from which a document's first token is predicted.
  std::int64_t document_cache_tokens = 0;  ///< 0: no cache.

  std::int64_t kv_dim = 0;  ///< Size of a position's keys, and of its values.
  std::int64_t memory_length =
      0;  ///< Maximum positions of a layer's memory; 0: none, otherwise at least a block.
  c10::ScalarType memory_type = c10::ScalarType::Float;  ///< fp32 or bf16.
  std::int64_t states = 0,
               num_state_vectors = 0;  ///< Number of recurrent states, [num_state_vectors, dim] each.

  std::int64_t routed_blocks = 0;  ///< Maximum blocks of routed memory; 0: none.
  std::int64_t routed_segment = 0, routed_dim = 0;
  bool routed_int8 = false;
  std::size_t routed_bytes = 0;  ///< Maximum bytes of a document's routed memory.
};

NetworkShape shape_of(const ModelConfig& config);

}  // namespace unroll
