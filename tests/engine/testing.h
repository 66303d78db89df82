// What the tests of engine/ share: a model that is quick and exact, and a listener that keeps what it hears.
#pragma once

#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/temporary_folder.h"

namespace unroll {

using namespace std::chrono_literals;

inline constexpr std::int64_t kTestBlock = 32;

/// A chain of hashes in place of the transformer: each number depends on every token before it, so that a
/// token lost, doubled or in another's state changes all that follows.
class HashModel final : public BlockModel {
 public:
  using Watch = std::function<void(std::span<const BlockInput>)>;
  explicit HashModel(Watch before_run = {}) : before_run_(std::move(before_run)) {
    info_.name = "hash";
    info_.num_tokens = 8192;
    info_.dim = 4;
    info_.depth = 1;
    info_.block_width = kTestBlock;
    info_.state_bytes = sizeof(std::uint64_t);
  }
  const ModelInfo& info() const override { return info_; }

  std::vector<BlockOutput> run(std::span<const BlockInput> blocks) override {
    if (before_run_) before_run_(blocks);
    std::vector<BlockOutput> outputs;
    for (const auto& block : blocks) outputs.push_back(run_one(block));
    return outputs;
  }

  ModelStatePtr restore(std::span<const std::byte> bytes) const override {
    if (bytes.size() != sizeof(std::uint64_t)) throw std::runtime_error("not a state of the hash model");
    auto state = std::make_shared<State>();
    std::memcpy(&state->hash, bytes.data(), bytes.size());
    return state;
  }

 private:
  struct State final : ModelState {
    std::uint64_t hash = 14695981039346656037u;
    std::vector<std::byte> serialize() const override {
      std::vector<std::byte> bytes(sizeof hash);
      std::memcpy(bytes.data(), &hash, sizeof hash);
      return bytes;
    }
    std::size_t bytes() const override { return sizeof hash; }
  };

  BlockOutput run_one(const BlockInput& block) const {
    auto next = std::make_shared<State>();
    if (block.state) next->hash = static_cast<const State&>(*block.state).hash;
    BlockOutput output;
    for (const auto token : block.tokens) {
      next->hash = (next->hash ^ static_cast<std::uint64_t>(token)) * 1099511628211u;
      output.logprobs.push_back(-static_cast<float>(next->hash >> 52) / 256);
      if (block.wants.entropy) output.entropy.push_back(static_cast<float>(next->hash >> 56) / 64);
      for (int i = 0; block.wants.hidden && i < 4; ++i)
        output.hidden.push_back(static_cast<float>((next->hash >> (8 * i)) & 255) / 256);
    }
    output.next = std::move(next);
    return output;
  }

  ModelInfo info_;
  Watch before_run_;
};

/// Keeps everything, in order. Safe to read behind wait().
class Recorder final : public DocumentListener {
 public:
  void on_output(const DocumentId&, const Output& output) override {
    const std::lock_guard lock(mutex_);
    outputs_.push_back(output);
    changed_.notify_all();
  }
  void on_progress(const DocumentStatus&) override {}
  void on_done(const DocumentStatus& status) override { finish(status); }
  void on_failed(const DocumentStatus& status) override { finish(status); }

  /// Until the document has ended.
  DocumentStatus wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 60s, [&] { return last_.has_value(); }))
      throw std::runtime_error("the document did not end");
    return *last_;
  }
  void wait_for_outputs(std::size_t count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 60s, [&] { return outputs_.size() >= count; }))
      throw std::runtime_error("too few outputs");
  }
  std::vector<Output> outputs() const {
    const std::lock_guard lock(mutex_);
    return outputs_;
  }

 private:
  void finish(const DocumentStatus& status) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(last_.has_value()) << "told twice that the document has ended";
    last_ = status;
    changed_.notify_all();
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Output> outputs_;
  std::optional<DocumentStatus> last_;
};

/// One line each: what must be equal byte for byte.
inline std::vector<std::string> lines(const std::vector<Output>& outputs) {
  std::vector<std::string> result;
  for (const auto& output : outputs) {
    result.push_back(std::to_string(output.sequence) + " " + output.plugin + " " + output.json);
  }
  return result;
}

/// The code of the Error that `call` must throw, and its text.
template <typename Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {ErrorCode::kInternal, "no error"};
}

/// Prose-like, the same for the same seed.
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
