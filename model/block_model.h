// Public interface of model/: block-recurrent (Hutchins et al. 2022) and pretrained transformers, and their
// checkpoints. The rest of the project sees only this header. It names no tensor type, so that the scheduler
// builds without LibTorch and can be tested with another model that has the same interface.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/settings.h"

namespace unroll {

/// What a document's blocks so far leave: recurrent states, memories, and the last token. Immutable: a copy
/// of the pointer is a copy of the state. Null is the state before a document's first block. The size in
/// bytes is constant.
class ModelState {
 public:
  virtual ~ModelState() = default;
  /// Versioned bytes that BlockModel::restore() of the same checkpoint turns back into the same state.
  virtual std::vector<std::byte> serialize() const = 0;
  virtual std::size_t bytes() const = 0;
};
using ModelStatePtr = std::shared_ptr<const ModelState>;

/// What to compute in addition to the tokens' log-probabilities. The rest is not computed.
struct Wants {
  bool entropy = false;
  bool hidden = false;
  int top_k = 0;
  bool ranks = false;
  /// Borrowed: by token id, whether it is a member of a set; not members: ids beyond it. Empty: no mass is
  /// wanted.
  std::span<const std::uint8_t> members = {};
};

/// A block: 1 to block_width consecutive tokens of one document. All but a document's last block are full.
struct BlockInput {
  ModelStatePtr state;
  std::span<const std::int32_t> tokens;
  Wants wants;
  std::size_t first = 0;  ///< Below the number of tokens: outputs are wanted from this token on.
  /// After this state, blocks that begin with the same tokens may be read again: what is known of them then
  /// is not computed again.
  bool may_come_again = false;
};

/// length: number of tokens from BlockInput::first on; i counts from there.
struct BlockOutput {
  ModelStatePtr next;  ///< The state after this block.
  std::vector<float>
      logprobs;  ///< [length] nats: log p(token i | everything before it), including the first token.
  std::vector<float> entropy;         ///< [length] nats, of the distribution that token i was drawn from.
  std::vector<float> hidden;          ///< [length, dim] last layer's output from which token i is predicted.
  std::vector<std::int32_t> top_ids;  ///< [length, top_k], most probable first.
  std::vector<float> top_logprobs;    ///< [length, top_k] nats.
  /// [length] of token i in its distribution: 1 is the most probable. Of equals the lower id is first.
  std::vector<std::int32_t> ranks;
  /// [length] nats: log of the members' probability in the distribution that token i was drawn from.
  std::vector<float> mass;
};

struct ModelInfo {
  std::string name;        ///< Name of the checkpoint's folder, or of its file without the extension.
  std::string checkpoint;  ///< Hexadecimal fingerprint; differs if any weight differs.
  std::int64_t parameters = 0;
  std::int64_t num_tokens = 0, dim = 0, depth = 0, block_width = 0;
  std::string device, dtype;
  /// What computes: "packed" (a CPU's), "kernels+graphs" or "kernels" (a GPU's), or "operators" (LibTorch's).
  std::string form;
  std::string form_problem;        ///< Why a GPU's faster form failed or does not apply; empty otherwise.
  std::uint64_t weight_bytes = 0;  ///< Memory of the weights, approximately.
  std::size_t state_bytes = 0;     ///< Maximum memory of one open document's ModelState.
  std::size_t batch = 1;           ///< Number of blocks per run() that is fastest.
};

/// Only one thread at a time may call run(). info() is constant.
class BlockModel {
 public:
  virtual ~BlockModel() = default;
  virtual const ModelInfo& info() const = 0;
  /// Runs one block each of different documents; those of equal shapes run in one launch. On a CPU, a block's
  /// output does not depend on the other blocks, to the last bit. On a GPU, products may be split differently
  /// for another number of blocks; only runs of one block are reproducible there.
  virtual std::vector<BlockOutput> run(std::span<const BlockInput> blocks) = 0;
  /// Throws std::runtime_error if `bytes` are not a state of this checkpoint.
  virtual ModelStatePtr restore(std::span<const std::byte> bytes) const = 0;
};

struct ModelOptions {
  std::string device = "auto";  ///< One of kDevices in base/choices.h.
  /// Type of numbers to compute with, whatever the checkpoint stores: fp32, bf16, int8, or auto: the fastest
  /// on this machine by measurement (int8 only if the checkpoint stores it); on a GPU bf16.
  std::string dtype = "auto";
  int threads = 0;         ///< 0: one per core.
  bool gpu_graphs = true;  ///< On a GPU: record blocks as graphs. Off for benchmarks.
  /// On a GPU: rows of one launch; 0: kRowsOfGpuLaunch.
  std::int64_t gpu_rows = 0;
  ModelSettings settings = {};
  /// The token from which a document's first token is predicted: Vocabulary::first_input(). Absent: the
  /// checkpoint's.
  std::optional<std::int32_t> first_input = {};
  /// File that stores what `auto` measured, so that later processes make the same choice. Empty: measure per
  /// process.
  std::filesystem::path speeds_file = {};
};

/// Enough to fill a GPU, by estimate: no GPU has measured it (`bench/gpu.sh` compares others).
inline constexpr std::int64_t kRowsOfGpuLaunch = 32'768;

/// Loads a checkpoint: this project's own folder (config.json, model.safetensors), or a pretrained
/// transformer as a Hugging Face folder or GGUF file. Throws std::runtime_error that names the file, the
/// problem, and what to do.
std::unique_ptr<BlockModel> load_block_model(const std::filesystem::path& model, const ModelOptions& options);

/// What a checkpoint's headers say, of either kind.
struct CheckpointSummary {
  std::string family;  ///< "model_type" of its configuration.
  std::int64_t parameters = 0;
};
/// Reads no weights. Throws as load_block_model().
CheckpointSummary summarize_checkpoint(const std::filesystem::path& model, const ModelSettings& settings);

}  // namespace unroll
