// A fast and exact model for tests of the engine, and text for it.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "model/block_model.h"

namespace unroll {

inline constexpr std::int64_t kTestBlock = 32;

/// A chain of hashes instead of the transformer: each number depends on every earlier token, so a token that
/// is lost, doubled or in another document's state changes everything after it.
class HashModel final : public BlockModel {
 public:
  using Watch = std::function<void(std::span<const BlockInput>)>;
  /// `state_bytes`: the reported size of a state. Another `seed` gives another model.
  explicit HashModel(Watch before_run = {}, std::size_t state_bytes = sizeof(std::uint64_t),
                     std::uint64_t seed = 0)
      : before_run_(std::move(before_run)), seed_(seed) {
    info_.name = "hash";
    info_.num_tokens = 8192;
    info_.dim = 4;
    info_.depth = 1;
    info_.block_width = kTestBlock;
    info_.state_bytes = state_bytes;
  }
  const ModelInfo& info() const override { return info_; }
  /// Before it is used.
  ModelInfo& change_info() { return info_; }
  /// Called before a state is restored or serialized; it may throw.
  void set_state_hook(std::function<void(const char* function)> hook) {
    state_hook_ = std::make_shared<std::function<void(const char*)>>(std::move(hook));
  }

  std::vector<BlockOutput> run(std::span<const BlockInput> blocks) override {
    if (before_run_) before_run_(blocks);
    std::vector<BlockOutput> outputs;
    for (const auto& block : blocks) outputs.push_back(run_one(block));
    return outputs;
  }

  ModelStatePtr restore(std::span<const std::byte> bytes) const override {
    if (bytes.size() != sizeof(std::uint64_t)) throw std::runtime_error("not a state of the hash model");
    if (state_hook_) (*state_hook_)("restore");
    auto state = std::make_shared<State>(info_.state_bytes, state_hook_);
    std::memcpy(&state->hash, bytes.data(), bytes.size());
    return state;
  }

 private:
  using StateHook = std::shared_ptr<std::function<void(const char*)>>;
  struct State final : ModelState {
    State(std::size_t size, StateHook hook) : size(size), hook(std::move(hook)) {}
    std::size_t size;
    StateHook hook;
    std::uint64_t hash = 14695981039346656037u;
    std::vector<std::byte> serialize() const override {
      if (hook) (*hook)("serialize");
      std::vector<std::byte> bytes(sizeof hash);
      std::memcpy(bytes.data(), &hash, sizeof hash);
      return bytes;
    }
    std::size_t bytes() const override { return size; }
  };

  BlockOutput run_one(const BlockInput& block) const {
    auto next = std::make_shared<State>(info_.state_bytes, state_hook_);
    next->hash ^= seed_;
    if (block.state) next->hash = static_cast<const State&>(*block.state).hash;
    BlockOutput output;
    for (std::size_t i = 0; i < block.tokens.size(); ++i) {
      const auto before = next->hash;
      next->hash = (next->hash ^ static_cast<std::uint64_t>(block.tokens[i])) * 1099511628211u;
      if (i < block.first) continue;
      // Of a distribution, whichever token comes then.
      if (!block.wants.members.empty()) output.mass.push_back(-static_cast<float>(before >> 58) / 32);
      output.logprobs.push_back(-static_cast<float>(next->hash >> 52) / 256);
      if (block.wants.entropy) output.entropy.push_back(static_cast<float>(next->hash >> 56) / 64);
      if (block.wants.ranks) output.ranks.push_back(1 + static_cast<std::int32_t>(next->hash >> 51));
      for (int byte = 0; block.wants.hidden && byte < 4; ++byte)
        output.hidden.push_back(static_cast<float>((next->hash >> (8 * byte)) & 255) / 256);
    }
    output.next = std::move(next);
    return output;
  }

  ModelInfo info_;
  Watch before_run_;
  StateHook state_hook_;
  std::uint64_t seed_;
};

/// Prose-like text; the same for the same seed.
inline std::string some_text(std::size_t bytes, std::uint32_t seed = 1) {
  static constexpr const char* kWords[] = {"the ", "whale ",  "Ahab",     " said\n", "ship ",
                                           "of ",  "größer ", "42 ",      "error: ", "\n\n",
                                           "🙂", "sea ",    "nothing ", ". "};
  std::string text;
  while (text.size() < bytes) {
    seed = seed * 1664525u + 1013904223u;
    text += kWords[(seed >> 16) % std::size(kWords)];
  }
  text.resize(bytes);
  return text;
}

}  // namespace unroll
