// Shared by the tests of engine/: a listener that records everything, and the model of hash_model.h.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/engine/hash_model.h"
#include "tests/temporary_folder.h"

namespace unroll {

using namespace std::chrono_literals;

inline const auto& vocabulary() {
  static const auto loaded =
      Vocabulary::load(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model");
  return loaded;
}

inline const auto& registry() {
  static const auto loaded = [] {
    auto plugins = std::make_shared<PluginRegistry>();
    EXPECT_THAT(plugins->load_directory(default_plugin_directory()), testing::IsEmpty());
    return plugins;
  }();
  return loaded;
}

inline DocumentRequest a_request(std::optional<DocumentId> resume = std::nullopt) {
  DocumentRequest request;
  request.plugins = {{"score", {{"granularity", "line"}}}, {"anomaly", nlohmann::json::object()}};
  request.owner = 1000;
  request.resume = std::move(resume);
  return request;
}

/// Records everything in order. Read it after wait().
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

  /// Waits until the document has ended.
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

/// One line each; these must be equal byte for byte.
inline std::vector<std::string> lines(const std::vector<Output>& outputs) {
  std::vector<std::string> result;
  for (const auto& output : outputs) {
    result.push_back(std::to_string(output.sequence) + " " + output.plugin + " " + output.json);
  }
  return result;
}

/// The code and text of the Error that `call` must throw.
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

}  // namespace unroll
