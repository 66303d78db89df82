// model/: the block-recurrent transformer (Hutchins et al. 2022), pretrained transformers, their checkpoints,
// and nothing else. This header is all that the rest of the project sees: it names no tensor type, so that
// the scheduler of blocks builds without LibTorch and can be tested with another model that has the same
// interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/settings.h"

namespace unroll {

/// What the blocks before left behind: recurrent states, memories, and the last token. Immutable, so that a
/// copy of the pointer is a copy of the state; null is the state before a document's first block. Constant
/// size in bytes.
class ModelState {
 public:
  virtual ~ModelState() = default;
  /// Versioned bytes that BlockModel::restore() of the same checkpoint takes back exactly.
  virtual std::vector<std::byte> serialize() const = 0;
  virtual std::size_t bytes() const = 0;
};
using ModelStatePtr = std::shared_ptr<const ModelState>;

/// What to compute beyond the tokens' log-probabilities; what is not wanted is not computed.
struct Wants {
  bool entropy = false;
  bool hidden = false;
  int top_k = 0;
};

/// A block: tokens of one document, in order, 1 to block_width of them; all but a document's last block are
/// full.
struct BlockInput {
  ModelStatePtr state;
  std::span<const std::int32_t> tokens;
  Wants wants;
};

struct BlockOutput {
  ModelStatePtr next;           ///< The state after this block.
  std::vector<float> logprobs;  ///< [length] nats: log p(token i | everything before it), the first one too.
  std::vector<float> entropy;   ///< [length] nats, of the distribution that token i was drawn from.
  std::vector<float> hidden;    ///< [length, dim] last layer's output where token i is predicted from.
  std::vector<std::int32_t> top_ids;  ///< [length, top_k] most probable first.
  std::vector<float> top_logprobs;    ///< [length, top_k] nats.
};

struct ModelInfo {
  std::string name;        ///< The checkpoint folder's name, or its file's without the extension.
  std::string checkpoint;  ///< Hexadecimal; another where any weight is another.
  std::int64_t parameters = 0;
  std::int64_t num_tokens = 0, dim = 0, depth = 0, block_width = 0;
  std::string device, dtype;
  std::size_t state_bytes = 0;  ///< Memory that one open document's ModelState takes, at most.
  std::size_t batch = 1;        ///< Blocks that run() takes at once and is the faster for it.
};

/// One thread at a time may call run(); info() is constant.
class BlockModel {
 public:
  virtual ~BlockModel() = default;
  virtual const ModelInfo& info() const = 0;
  /// One block each of different documents; those of equal shapes run in one launch. On a CPU a block's
  /// output does not depend, to the last bit, on what else is in the batch; on a GPU products may be cut
  /// otherwise for another number of blocks, and only one block at a time makes sure of it.
  virtual std::vector<BlockOutput> run(std::span<const BlockInput> blocks) = 0;
  /// Throws std::runtime_error where the bytes are not a state of this checkpoint.
  virtual ModelStatePtr restore(std::span<const std::byte> bytes) const = 0;
};

struct ModelOptions {
  std::string device = "auto";  ///< auto, cpu, cuda.
  /// fp32, bf16, int8: of the arithmetic, whatever the checkpoint stores. auto: the fastest on this machine
  /// by measurement; int8 only if the checkpoint stores that. A GPU: bf16.
  std::string dtype = "auto";
  int threads = 0;  ///< 0: as many as the machine has cores.
  /// On a GPU: this program's kernels (model/gpu/), and recording blocks as graphs. Off to find out what goes
  /// wrong, and for benchmarks.
  bool gpu_kernels = true, gpu_graphs = true;
  ModelSettings settings = {};
  /// What a document's first token is predicted from: Vocabulary::first_input(). Absent: as the checkpoint
  /// says.
  std::optional<std::int32_t> first_input = {};
  /// Keeps what `auto` measured, so that later processes choose the same; empty: this process alone does.
  std::filesystem::path speeds_file = {};
};

/// Reads a checkpoint: this project's own folder (config.json, model.safetensors), or a pretrained
/// transformer: a Hugging Face folder or a GGUF file. Throws std::runtime_error that names the file, what is
/// wrong with it, and what to do.
std::unique_ptr<BlockModel> load_block_model(const std::filesystem::path& model, const ModelOptions& options);

}  // namespace unroll
