// The engine's core with a simulated clock, for tests that drive it round by round.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine_core.h"
#include "tests/engine/testing.h"

namespace unroll {

class Core : public testing::Test {
 protected:
  void start(EngineOptions options = {}, std::size_t state_bytes = 8,
             std::shared_ptr<const PluginRegistry> plugins = registry()) {
    options.now = [this] { return now_; };
    model_ = std::make_shared<HashModel>(
        [this](std::span<const BlockInput> blocks) {
          blocks_ += blocks.size();
          now_ += block_time_ * blocks.size();
        },
        state_bytes);
    core_ =
        std::make_unique<EngineCore>(Revision{model_, vocabulary(), std::move(plugins)}, std::move(options));
  }

  struct Opened {
    DocumentId id;
    std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  };
  Opened open(const DocumentRequest& request = a_request()) {
    Opened opened;
    opened.id = core_->open(request, opened.recorder).id;
    return opened;
  }
  Opened open_with(const std::string& text, DocumentRequest request = a_request()) {
    auto opened = open(request);
    core_->append(opened.id, text, {});
    return opened;
  }
  void run_until_idle() {
    while (core_->has_work()) core_->round();
  }
  std::vector<std::string> read(const std::string& text, const DocumentRequest& request = a_request()) {
    const auto document = open_with(text, request);
    core_->end(document.id);
    run_until_idle();
    EXPECT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
    return lines(document.recorder->outputs());
  }

  OpenDocument::TimePoint now_{std::chrono::hours(1)};
  std::chrono::milliseconds block_time_{0};
  std::uint64_t blocks_ = 0;
  std::shared_ptr<HashModel> model_;
  std::unique_ptr<EngineCore> core_;
};

}  // namespace unroll
