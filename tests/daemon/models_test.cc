// Which models are loaded when, without a daemon.
#include "daemon/models.h"

#include <atomic>
#include <future>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/hash_model.h"

namespace unroll::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::chrono::seconds kPatience{30};

class LoadedModels : public testing::Test {
 protected:
  static Revision revision(const std::string& name, std::uint64_t bytes) {
    auto model = std::make_shared<HashModel>();
    model->change_info().weight_bytes = bytes;
    Revision revision{std::move(model), nullptr, nullptr, name};
    revision.load_seconds = 0.25;
    return revision;
  }
  /// That counts its loads, and takes `bytes`.
  ModelSource source(const std::string& name, std::uint64_t bytes = 100) {
    return {name, "hash", 7, bytes, [this, name, bytes] {
              ++loads_[name];
              return revision(name, bytes);
            }};
  }
  /// That says when its load has begun, and waits in it.
  ModelSource slow() {
    auto slow = source("slow");
    slow.load = [this, load = slow.load] {
      loading_.set_value();
      gate_.get_future().wait();
      return load();
    };
    return slow;
  }
  void start(Models::Limits limits, std::vector<ModelSource> sources) {
    models_ = std::make_unique<Models>(limits);
    models_->set(std::move(sources), std::make_shared<const Revision>(revision("first", 100)));
  }
  using Answer = std::pair<std::exception_ptr, Models::RevisionPtr>;
  std::future<Answer> ask(const std::string& name) {
    const auto promise = std::make_shared<std::promise<Answer>>();
    models_->ask(name, [promise](std::exception_ptr failure, Models::RevisionPtr revision) {
      promise->set_value({std::move(failure), std::move(revision)});
    });
    return promise->get_future();
  }
  static Answer wait(std::future<Answer> answer) {
    if (answer.wait_for(kPatience) != std::future_status::ready) throw std::runtime_error("no answer");
    return answer.get();
  }
  Models::RevisionPtr get(const std::string& name) {
    auto [failure, revision] = wait(ask(name));
    if (failure) std::rethrow_exception(failure);
    return revision;
  }
  Error error_of(const std::string& name) {
    try {
      get(name);
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kInternal, "no error"};
  }
  Models::Listed listed(const std::string& name) const {
    for (const auto& model : models_->list()) {
      if (model.name == name) return model;
    }
    throw std::runtime_error("no model " + name);
  }
  bool becomes_unloaded(const std::string& name) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (listed(name).loaded && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
    return !listed(name).loaded;
  }

  std::promise<void> loading_, gate_;
  std::map<std::string, std::atomic<int>> loads_;
  std::unique_ptr<Models> models_;
};

TEST_F(LoadedModels, TheFirstIsThereAndTheOthersComeWhenTheyAreAskedFor) {
  start({1000, 1h}, {source("first"), source("b")});
  EXPECT_EQ(get("")->name, "first");
  EXPECT_EQ(get("first"), get(""));
  EXPECT_FALSE(listed("b").loaded);
  EXPECT_EQ(listed("b").family, "hash");
  EXPECT_EQ(listed("b").bytes, 0u);
  EXPECT_TRUE(models_->has("b"));
  const auto b = get("b");
  EXPECT_EQ(b->name, "b");
  EXPECT_EQ(get("b"), b);
  EXPECT_TRUE(models_->is_loaded("b"));
  EXPECT_EQ(listed("b").bytes, 100u);
  EXPECT_EQ(listed("b").loads, 1u);
  EXPECT_DOUBLE_EQ(listed("b").load_seconds, 0.25);
  EXPECT_EQ(loads_["b"], 1);
  EXPECT_EQ(loads_["first"], 0) << "the engine has loaded it";
}

TEST_F(LoadedModels, AnUnknownNameIsToldTheKnownOnes) {
  start({1000, 1h}, {source("first"), source("b")});
  const auto error = error_of("c");
  EXPECT_EQ(error.code, ErrorCode::kModelUnknown);
  EXPECT_THAT(error.what(), HasSubstr("no model 'c'; there are: first, b"));
  EXPECT_FALSE(models_->has("c"));
}

TEST_F(LoadedModels, RequestsForAModelThatIsLoadingWaitAndOthersDoNot) {
  start({1000, 1h}, {source("first"), slow()});
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(ask("slow"));
  EXPECT_EQ(get("first")->name, "first");
  EXPECT_FALSE(models_->is_loaded("slow"));
  EXPECT_EQ(answers.front().wait_for(0s), std::future_status::timeout);
  gate_.set_value();
  const auto first = wait(std::move(answers.front())).second;
  for (std::size_t i = 1; i < answers.size(); ++i) EXPECT_EQ(wait(std::move(answers[i])).second, first);
  EXPECT_EQ(loads_["slow"], 1);
}

TEST_F(LoadedModels, OneThatIsNotUsedIsUnloadedAndOneThatIsUsedIsNot) {
  start({1000, 20ms}, {source("first"), source("b"), source("c")});
  const auto used = get("b");
  get("c");
  EXPECT_TRUE(becomes_unloaded("c"));
  EXPECT_TRUE(listed("b").loaded);
  EXPECT_TRUE(listed("first").loaded);
  EXPECT_EQ(get("c")->name, "c");
  EXPECT_EQ(loads_["c"], 2);
  EXPECT_EQ(listed("c").loads, 2u);
}

TEST_F(LoadedModels, OneThatNeedsMemoryTakesThatOfTheOneThatWasUsedTheLongestAgo) {
  start({350, 1h}, {source("first"), source("b"), source("c"), source("d")});
  get("b");
  get("c");
  std::this_thread::sleep_for(2ms);  // so that the clock tells b's use from c's
  get("b");
  get("d");
  EXPECT_FALSE(listed("c").loaded);
  EXPECT_TRUE(listed("b").loaded);
  EXPECT_TRUE(listed("d").loaded);
}

TEST_F(LoadedModels, OneThatDoesNotFitBesideThoseInUseIsRefusedUntilTheyAreDone) {
  start({250, 1h}, {source("first"), source("b"), source("c")});
  auto used = get("b");
  const auto error = error_of("c");
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("'c'"), HasSubstr("limits.model_memory_bytes is 250")));
  EXPECT_EQ(loads_["c"], 0) << "that was known before";
  used.reset();
  EXPECT_EQ(get("c")->name, "c");
  EXPECT_FALSE(listed("b").loaded);
}

TEST_F(LoadedModels, OneThatIsLargerThanItsFilesIsRefusedToo) {
  auto swollen = source("b", 500);
  swollen.file_bytes = 50;
  start({300, 1h}, {source("first"), std::move(swollen)});
  EXPECT_EQ(error_of("b").code, ErrorCode::kLimit);
  EXPECT_EQ(error_of("b").code, ErrorCode::kLimit);
  EXPECT_EQ(loads_["b"], 1) << "the second time it is known";
  EXPECT_FALSE(listed("b").loaded);
}

TEST_F(LoadedModels, ALoadThatFailsIsToldAndNotTriedAgainAtOnce) {
  auto bad = source("bad");
  bad.load = [this]() -> Revision {
    ++loads_["bad"];
    throw Error(ErrorCode::kModel, "no such weights");
  };
  start({1000, 1h}, {source("first"), std::move(bad), source("b")});
  for (int i = 0; i < 3; ++i) {
    const auto error = error_of("bad");
    EXPECT_EQ(error.code, ErrorCode::kModel);
    EXPECT_THAT(error.what(), HasSubstr("no such weights"));
  }
  EXPECT_EQ(loads_["bad"], 1);
  EXPECT_EQ(get("b")->name, "b") << "the others are loaded all the same";
}

TEST_F(LoadedModels, AnotherListReplacesTheOneBefore) {
  start({250, 1h}, {source("first"), source("b")});
  auto old = get("b");
  const std::weak_ptr<const Revision> watched = old;
  models_->set({source("first"), source("c"), source("b")},
               std::make_shared<const Revision>(revision("first", 100)));
  EXPECT_FALSE(listed("b").loaded) << "its files may be others now";
  EXPECT_EQ(listed("first").loads, 2u);
  EXPECT_EQ(listed("b").loads, 1u) << "a counter does not fall";
  EXPECT_EQ(error_of("c").code, ErrorCode::kLimit) << "the old one still takes its memory";
  old.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(get("c")->name, "c");
  models_->set({source("first")}, std::make_shared<const Revision>(revision("first", 100)));
  EXPECT_EQ(error_of("b").code, ErrorCode::kModelUnknown);
}

TEST_F(LoadedModels, RequestsThatWaitWhileTheListChangesAreServedFromTheNewOne) {
  start({1000, 1h}, {source("first"), slow(), source("b"), source("c")});
  auto loading = ask("slow");
  loading_.get_future().wait();
  auto waits = ask("b"), removed = ask("c");
  models_->set({source("first"), source("b")}, std::make_shared<const Revision>(revision("first", 100)));
  EXPECT_THROW(std::rethrow_exception(wait(std::move(removed)).first), Error);
  EXPECT_THROW(std::rethrow_exception(wait(std::move(loading)).first), Error);
  gate_.set_value();
  EXPECT_EQ(wait(std::move(waits)).second->name, "b");
  EXPECT_EQ(models_->list().size(), 2u);
}

TEST_F(LoadedModels, RequestsThatWaitAtTheEndAreDropped) {
  start({1000, 1h}, {source("first"), slow(), source("b")});
  auto loading = ask("slow");
  loading_.get_future().wait();
  auto held = std::make_shared<int>(1);
  models_->ask("b", [held](const auto&, const auto&) { FAIL() << "it is loaded after the end"; });
  std::thread end([&] { models_->stop(); });
  while (error_of("first").code != ErrorCode::kShuttingDown) std::this_thread::yield();
  gate_.set_value();
  end.join();
  EXPECT_EQ(held.use_count(), 1) << "what it holds is freed";
  EXPECT_EQ(error_of("b").code, ErrorCode::kShuttingDown);
}

}  // namespace
}  // namespace unroll::test
