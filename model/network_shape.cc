#include "model/network_shape.h"

#include "model/memory.h"
#include "model/routed_memory.h"

namespace unroll {
namespace {

/// <s> in the vocabularies that this project trains.
constexpr std::int32_t kBeginOfDocument = 1;

}  // namespace

NetworkShape shape_of(const ModelConfig& config) {
  NetworkShape shape;
  shape.num_tokens = config.num_tokens;
  shape.dim = config.dim;
  shape.depth = config.depth;
  shape.block_width = config.block_width;
  shape.first_input = kBeginOfDocument;
  shape.document_cache_tokens = config.document_cache_tokens;
  shape.kv_dim = config.kv_dim();
  shape.memory_length = memory_length(config);
  shape.states = static_cast<std::int64_t>(config.recurrent_layers.size());
  shape.num_state_vectors = config.num_state_vectors;
  if (config.routed_memory_layer > 0) {
    shape.routed_blocks = config.routed_blocks();
    shape.routed_segment = config.routed_memory_segment;
    shape.routed_dim = config.routed_memory_dim;
    shape.routed_int8 = config.routed_memory_dtype == "int8";
    shape.routed_bytes = routed_memory_bytes(config);
  }
  return shape;
}

}  // namespace unroll
