// Synthetic documents for checking plugins without a model: text made from a seed, cut into tokens and
// blocks, with plausible numbers. The same seed gives the same document on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "unroll/plugin.h"

namespace unroll {

inline constexpr std::size_t kVocabulary = 4096;  ///< Token ids are below this.

/// Consecutive tokens with all data that a plugin may want, in separate buffers.
struct SyntheticBlock {
  std::uint64_t index = 0, first_token = 0;
  std::int32_t dim = 0, top_k = 0;
  std::vector<std::int32_t> tokens;    ///< [length]
  std::vector<std::uint64_t> offsets;  ///< [length + 1]
  std::vector<float> logprobs, entropy;
  std::vector<float> hidden;  ///< [length, dim]
  std::string text;
  std::vector<std::int32_t> top_ids;  ///< [length, top_k]
  std::vector<float> top_logprobs;
  std::vector<float> word_end;      ///< [length]
  std::vector<std::int32_t> ranks;  ///< [length]

  std::size_t length() const { return tokens.size(); }
  /// A view, valid until this object is moved or destroyed, or view() is called again.
  unroll_block view();
  SyntheticBlock slice(std::uint64_t index, std::size_t first, std::size_t length) const;
  /// Overwrites every buffer, so that a kept pointer reads wrong data.
  void poison();
  bool same_data(const SyntheticBlock& other) const;

 private:
  unroll_tensor tensor_{};  // what view() points at
  std::array<std::int64_t, 2> shape_{};
};

enum class SyntheticKind { kEmpty, kProse, kLog, kRandomBytes, kLongLine };
inline constexpr std::array kSyntheticKinds = {SyntheticKind::kEmpty, SyntheticKind::kProse,
                                               SyntheticKind::kLog, SyntheticKind::kRandomBytes,
                                               SyntheticKind::kLongLine};
/// For a report: "prose", "random bytes", ...
std::string_view name_of(SyntheticKind kind);

class SyntheticDocument {
 public:
  static constexpr std::int32_t kDefaultDim = 8, kDefaultTopK = 5;

  SyntheticDocument(SyntheticKind kind, std::uint64_t seed, std::int32_t top_k = kDefaultTopK);
  /// From the given text. Tokens may split UTF-8 sequences, a few have no bytes, blocks have 1 token or more.
  SyntheticDocument(std::string text, std::uint64_t seed, std::int32_t top_k = kDefaultTopK);
  /// From given tokens; `cuts`: the index of each block's first token, beginning with 0.
  SyntheticDocument(SyntheticBlock whole, std::vector<std::size_t> cuts);

  const std::string& text() const { return whole_.text; }
  const SyntheticBlock& whole() const { return whole_; }
  std::size_t block_count() const { return cuts_.size(); }
  SyntheticBlock block(std::size_t index) const;

 private:
  SyntheticBlock whole_;
  std::vector<std::size_t> cuts_;
};

}  // namespace unroll
