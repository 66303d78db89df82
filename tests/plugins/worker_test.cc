// Plugins in workers: the same bytes as in this process. Each kind of fault fails its own document with an
// error that names it, and no other document.
#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins/vocabulary.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

PluginOptions in_workers() {
  PluginOptions options;
  options.workers = true;
  return options;
}

/// A library in workers, and the outputs of its instances.
struct Workers {
  explicit Workers(const fs::path& file, const PluginOptions& options = in_workers()) : registry(options) {
    registry.set_log([this](int, std::string_view, std::string_view text) { log.emplace_back(text); });
    registry.load_library(file);
  }
  std::unique_ptr<PluginInstance> create(const std::string& options = "{}") {
    return registry.create(registry.plugins().front().name, options,
                           [this](std::string text) { outputs.push_back(std::move(text)); });
  }
  std::vector<std::string> log, outputs;
  PluginRegistry registry;
};

template <class F>
std::string error_of(F&& body) {
  try {
    body();
  } catch (const PluginError& error) {
    return error.what();
  }
  return {};
}

SyntheticDocument document_of(int blocks) {
  std::vector<MadeToken> tokens;
  for (int i = 0; i < blocks; ++i) tokens.push_back({"word "});
  return made_document(tokens, 1);
}

/// Reads a document of this many blocks with one instance; returns the error, empty if there is none.
std::string read_error(Workers& workers, int blocks = 2, const std::string& options = "{}") {
  return error_of([&] {
    const auto document = document_of(blocks);
    auto instance = workers.create(options);
    for (int i = 0; i < blocks; ++i) process(*instance, document, static_cast<std::size_t>(i));
    finish(*instance, document);
  });
}

std::string error_in_worker(const std::string& library, int blocks = 2,
                            const PluginOptions& options = in_workers()) {
  Workers workers(test_library(library), options);
  return read_error(workers, blocks);
}

pid_t pid_of(const std::string& output) {
  return json::parse(output).at("pid").get<pid_t>();
}

/// Returns when the process has ended (and waits until its parent has noticed).
void kill_dead(pid_t pid) {
  ::kill(pid, SIGKILL);
  for (std::string stat; stat.find(") Z ") == std::string::npos;) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::getline(file, stat);
  }
}

// --- faults of a plugin, and the errors that they cause

TEST(BadPlugin, Crashes) {
  EXPECT_THAT(
      error_in_worker("crashes"),
      AllOf(HasSubstr("plugin crashes: its worker was killed by signal 11 (Segmentation fault) in process"),
            HasSubstr("last output: plugin crashes: Segmentation fault in its function process")));
}

TEST(BadPlugin, Hangs) {
  auto options = in_workers();
  options.deadline = milliseconds(1000);
  Workers workers(test_library("hangs"), options);
  EXPECT_THAT(read_error(workers, 2, R"({"x":1})"),
              HasSubstr("plugin hangs: its worker did not return from process within 1000 ms"));
  EXPECT_EQ(read_error(workers), "");
}

TEST(BadPlugin, StartsProcesses) {
  EXPECT_THAT(error_in_worker("starts_processes"),
              AllOf(HasSubstr("killed by signal 31 (Bad system call) in process"),
                    HasSubstr("tried to start a process"), HasSubstr("\"processes\": true")));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(BadPlugin, LeaksPastItsLimit) {
  auto options = in_workers();
  options.memory_bytes = 64 << 20;
  EXPECT_THAT(error_in_worker("leaks", 10, options), AllOf(HasSubstr("plugin leaks: its worker held"),
                                                           HasSubstr("after process, its limit is 64 MiB")));
  EXPECT_THAT(error_in_worker("grabs", 10, options),
              AllOf(HasSubstr("in process"), HasSubstr("its memory is at its limit")));
}
#endif

TEST(BadPlugin, WrongAbiOrSymbol) {
  EXPECT_THAT(error_of([] { Workers(test_library("abi_version")); }),
              AllOf(HasSubstr("abi_version.so"), HasSubstr("plugin ABI 7"), HasSubstr("has 1")));
  EXPECT_THAT(error_of([] { Workers(test_library("no_entry")); }),
              HasSubstr("does not export `unroll_plugin_entry`"));
  EXPECT_THAT(error_of([] { Workers(test_library("name")); }), HasSubstr("\"Bad_name\""));
}

TEST(BadPlugin, ThrowsAcrossTheBorder) {
  EXPECT_EQ(error_in_worker("throws"), "plugin throws: an exception left its function process: no cheese");
}

TEST(BadPlugin, WritesToABlock) {
  EXPECT_THAT(
      error_in_worker("writes_into_block"),
      AllOf(HasSubstr("signal 11"), HasSubstr("it wrote to a block, which is borrowed and read-only")));
}

TEST(BadPlugin, Exits) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer looks for leaks first, which the sandbox forbids";
  EXPECT_THAT(error_in_worker("exits"), HasSubstr("its worker ended with exit code 0 in process"));
}

TEST(BadPlugin, FloodsOutputs) {
  if (kSanitized) GTEST_SKIP() << "it is too slow to come so far";
  auto options = in_workers();
  options.deadline = milliseconds(60'000);  // a busy machine needs more than the default for 64 MiB
  EXPECT_THAT(error_in_worker("floods", 2, options), HasSubstr("emitted more than the 67108864 bytes"));
}

TEST(BadPlugin, FloodsItsStderr) {
  EXPECT_EQ(error_in_worker("floods_stderr"), "");
}

TEST(BadPlugin, LogsMuch) {
  Workers chatty(test_library("logs_much"));
  EXPECT_EQ(read_error(chatty), "");
  ASSERT_EQ(chatty.log.size(), 1001u);
  EXPECT_THAT(chatty.log.back(), HasSubstr("its further lines for this document are dropped"));
}

TEST(BadPlugin, SendsGarbage) {
  EXPECT_THAT(error_in_worker("garbage"),
              AllOf(HasSubstr("sent an invalid message"), HasSubstr("begins with \"hello, world")));
  EXPECT_THAT(error_in_worker("claims_much"), HasSubstr("declares 20 and 1099511627776 bytes"));
}

TEST(BadPlugin, IsGivenAStateThatIsNone) {
  Workers good(test_library("none"));
  EXPECT_EQ(error_of([&] { good.create()->load(std::vector<std::byte>(3)); }),
            "plugin good: the saved state is not one of its own");
  EXPECT_EQ(read_error(good), "");
}

TEST(BadPlugin, KeepsStateThatItDoesNotSave) {
  Workers stateless(test_library("no_state"));
  EXPECT_THAT(error_of([&] { stateless.create()->load(std::vector<std::byte>(3)); }),
              HasSubstr("keeps none"));
  auto instance = stateless.create();
  const auto document = document_of(2);
  process(*instance, document, 0);
  // More instances than a worker keeps: this one is created again, and what it did not save is lost.
  std::vector<std::unique_ptr<PluginInstance>> others;
  for (int i = 0; i < 64; ++i) others.push_back(stateless.create());
  process(*instance, document, 1);
  finish(*instance, document);
  EXPECT_THAT(stateless.outputs, ElementsAre("\"some\""));
}

// --- the sandbox

TEST(Sandbox, RefusesWhatTheManifestDoesNotPermit) {
  Workers workers(test_library("reaches_out"));
  EXPECT_EQ(read_error(workers), "");
  EXPECT_EQ(json::parse(workers.outputs.at(0)),
            json({{"network", EPERM}, {"file", EACCES}, {"signal", EPERM}}));
}

TEST(Sandbox, PermitsWhatTheManifestSays) {
  const TemporaryFolder folder;
  fs::copy_file(test_library("reaches_out"), folder / "reaches_out.so");
  fs::copy_file(test_library("starts_processes"), folder / "starts_processes.so");
  std::ofstream(folder / "reaches_out.manifest.json") << R"({"network": true, "files": true})";
  std::ofstream(folder / "starts_processes.manifest.json") << R"({"processes": true})";
  Workers workers(folder / "reaches_out.so");
  EXPECT_EQ(read_error(workers), "");
  EXPECT_EQ(json::parse(workers.outputs.at(0)), json({{"network", 0}, {"file", 0}, {"signal", EPERM}}));
  EXPECT_EQ(workers.registry.plugins().front().permissions, 3u);
  Workers starts(folder / "starts_processes.so");
  EXPECT_EQ(read_error(starts), "");
}

// With these calls a plugin could reveal what others have read.
TEST(Sandbox, HidesTheJournalAndTheHostsMemory) {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2) {
    GTEST_SKIP() << "this kernel has no Landlock";
  }
  const TemporaryFolder folder;
  auto options = in_workers();
  options.hidden = folder / "state/journal";
  fs::create_directory(folder / "state");
  fs::create_directory(folder / "writes");
  for (const auto* name : {"state/journal", "state/journal-wal", "state/other", "words"})
    std::ofstream(folder / name) << name;
  fs::create_symlink(folder / "state/journal", folder / "link");
  fs::copy_file(test_library("reads"), folder / "writes/reads.so");
  std::ofstream(folder / "writes/reads.manifest.json") << R"({"files": true})";
  const auto memory = "/proc/" + std::to_string(::getpid()) + "/mem";
  Workers reads(test_library("reads"), options), writes(folder / "writes/reads.so", options);
  std::ofstream(folder / "state/journal-shm") << "later";
  const auto errno_of = [](Workers& workers, const fs::path& file) {
    EXPECT_EQ(read_error(workers, 1, json{{"file", file.string()}}.dump()), "");
    return json::parse(workers.outputs.back()).at("errno").get<int>();
  };
  for (const auto* name : {"state/journal", "state/journal-wal", "state/journal-shm", "link"})
    EXPECT_EQ(errno_of(reads, folder / name), EACCES) << name;
  for (const auto* name : {"state/other", "words", "/proc/self/status", "/usr/bin/env"})
    EXPECT_EQ(errno_of(reads, folder / name), 0) << name;
  EXPECT_EQ(errno_of(writes, folder / "state/journal"), 0) << "it may read and write files";
  for (auto* workers : {&reads, &writes}) EXPECT_NE(errno_of(*workers, memory), 0);
}

TEST(Sandbox, AManifestIsUnderstoodOrRefused) {
  const TemporaryFolder folder;
  fs::copy_file(test_library("none"), folder / "none.so");
  const auto error_with = [&](const std::string& manifest) {
    std::ofstream(folder / "none.manifest.json") << manifest;
    return error_of([&] { Workers(folder / "none.so"); });
  };
  EXPECT_EQ(error_with(R"({"memory_bytes": 100000000, "deadline_ms": 100, "network": false})"), "");
  EXPECT_THAT(error_with(R"({"netwrok": true})"),
              AllOf(HasSubstr("none.manifest.json"), HasSubstr("\"netwrok\"")));
  EXPECT_THAT(error_with(R"({"network": 1})"), HasSubstr("true or false"));
  EXPECT_THAT(error_with(R"({"deadline_ms": -1})"), HasSubstr("\"deadline_ms\" must be a positive integer"));
  EXPECT_THAT(error_with("[]"), HasSubstr("one JSON object"));
}

// --- workers come and go

TEST(WorkerPool, AnIdleWorkerThatWasKilledIsNotNoticed) {
  Workers workers(test_library("worker_pid"));
  const auto document = document_of(3);
  auto instance = workers.create();
  for (std::size_t i = 0; i < 3; ++i) {
    process(*instance, document, i);
    kill_dead(pid_of(workers.outputs.back()));
  }
  EXPECT_EQ(json::parse(workers.outputs.back()).at("tokens"), 3);
  EXPECT_NE(pid_of(workers.outputs[0]), pid_of(workers.outputs[1]));
  EXPECT_THAT(workers.log, IsEmpty());
}

TEST(WorkerPool, AWorkerKilledInACallIsReplaced) {
  Workers workers(test_library("worker_pid"));
  const auto document = document_of(2);
  auto instance = workers.create(R"({"slow":true})");
  process(*instance, document, 0);
  auto block = document.block(1);
  instance->begin_process(block.view());
  EXPECT_FALSE(instance->wait(milliseconds(20)));
  block.poison();  // it was borrowed until begin_process() returned
  ::kill(pid_of(workers.outputs[0]), SIGKILL);
  instance->end();
  EXPECT_EQ(json::parse(workers.outputs.at(1)).at("tokens"), 2);
  EXPECT_THAT(workers.log, ElementsAre(HasSubstr("signal 9 (Killed) in process; retrying in a new one")));
}

TEST(WorkerPool, ACrashIsTriedOnceMoreInAFreshWorker) {
  Workers workers(test_library("crashes"));
  EXPECT_THAT(read_error(workers), HasSubstr("signal 11"));
  EXPECT_EQ(workers.log.size(), 1u);
  EXPECT_EQ(read_error(workers, 1), "");
}

TEST(WorkerPool, ASlowDocumentDoesNotHoldAnother) {
  auto options = in_workers();
  options.deadline = milliseconds(60'000);
  Workers workers(test_library("hangs"), options);
  const auto document = document_of(1);
  auto hung = workers.create(R"({"x":1})"), other = workers.create();
  auto block = document.block(0);
  hung->begin_process(block.view());
  other->begin_process(block.view());
  EXPECT_FALSE(other->wait(milliseconds(0)));  // the only worker is busy; the caller is not blocked
  other->end();
  finish(*other, document);
  EXPECT_FALSE(hung->wait(milliseconds(0)));
  EXPECT_THAT(workers.outputs, ElementsAre("{}"));
}

TEST(WorkerPool, AFolderIsLoadedSideBySide) {
  PluginRegistry registry(in_workers());
  EXPECT_THAT(registry.load_directory(BUILTIN_PLUGIN_DIRECTORY), IsEmpty());
  EXPECT_EQ(registry.plugins().size(), 6u);
}

TEST(WorkerPool, TrustedLibrariesAreLoadedHere) {
  auto options = in_workers();
  options.in_process = {"worker_pid.so"};
  Workers workers(test_library("worker_pid"), options);
  EXPECT_EQ(read_error(workers), "");
  EXPECT_EQ(pid_of(workers.outputs.at(0)), ::getpid());
}

TEST(WorkerPool, AnInstanceOutlivesItsRegistry) {
  std::vector<std::string> outputs;
  std::unique_ptr<PluginInstance> instance;
  {
    PluginRegistry registry(in_workers());
    registry.load_library(test_library("none"));
    instance = registry.create("good", "{}", [&](std::string text) { outputs.push_back(std::move(text)); });
  }
  finish(*instance, document_of(1));
  EXPECT_THAT(outputs, ElementsAre("{}"));
}

TEST(WorkerPool, AWorkerOutlivesTheThreadThatStartedIt) {
  std::unique_ptr<Workers> workers;
  std::thread([&] { workers = std::make_unique<Workers>(test_library("worker_pid")); }).join();
  auto instance = workers->create();
  const auto document = document_of(2);
  process(*instance, document, 0);
  process(*instance, document, 1);
  EXPECT_EQ(pid_of(workers->outputs[0]), pid_of(workers->outputs[1]));
}

// --- the same bytes

TEST(WorkerInstance, TwoHundredAtOnceGiveTheSameBytes) {
  for (const char* name : {"score", "words", "anomaly", "summarize", "embed", "logprobs"}) {
    Workers workers(builtin_library(name));
    Loaded here(builtin_library(name));
    struct Pair {
      SyntheticDocument document;
      std::vector<std::string> there, here;
      std::unique_ptr<PluginInstance> in_worker, in_process;
    };
    std::vector<std::unique_ptr<Pair>> pairs;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const auto kind = kSyntheticKinds[seed % kSyntheticKinds.size()];
      auto& pair =
          *pairs.emplace_back(std::make_unique<Pair>(Pair{SyntheticDocument(kind, seed), {}, {}, {}, {}}));
      pair.in_worker =
          workers.registry.create(name, "{}", [&](std::string text) { pair.there.push_back(text); });
      pair.in_process =
          here.registry.create(name, "{}", [&](std::string text) { pair.here.push_back(text); });
    }
    bool more = true;
    for (std::size_t i = 0; std::exchange(more, false) && i < 4; ++i) {
      for (auto& pair : pairs) {
        if (i >= pair->document.block_count()) continue;
        more = true;
        process(*pair->in_worker, pair->document, i);
        process(*pair->in_process, pair->document, i);
      }
    }
    for (auto& pair : pairs) {
      EXPECT_EQ(pair->in_worker->save(), pair->in_process->save());
      finish(*pair->in_worker, pair->document);
      finish(*pair->in_process, pair->document);
      EXPECT_EQ(pair->there, pair->here) << name;
    }
  }
}

/// It is made by its first call, which throws what is wrong with it.
TEST(WorkerInstance, IsRestoredWithoutWaitingForAWorker) {
  const TemporaryFolder folder;
  const fs::path awaited = folder / "awaited", broken = folder / "broken";
  Workers workers(test_library("waits_in_create"));
  const auto options = json{{"file", awaited.string()}}.dump();
  write_file(awaited, "");
  const auto document = document_of(3);
  auto instance = workers.create(options);
  const auto fresh = instance->save();
  process(*instance, document, 0);
  const auto state = instance->save();
  instance.reset();
  fs::remove(awaited);
  const auto restore = [&](std::optional<std::span<const std::byte>> saved) {
    return workers.registry.restore("waits-in-create", options, saved, [](const std::string&) {});
  };
  instance = restore(state);  // returns, although the plugin is not made
  EXPECT_EQ(instance->save(), state);
  auto block = document.block(1);
  instance->begin_process(block.view());
  EXPECT_FALSE(instance->wait(milliseconds(50)));
  write_file(awaited, "");
  instance->end();
  auto whole = workers.create(options);
  for (std::size_t i = 0; i < 2; ++i) process(*whole, document, i);
  EXPECT_EQ(instance->save(), whole->save());
  EXPECT_EQ(restore(std::nullopt)->save(), fresh);

  Workers other(test_library("breakable"));
  write_file(broken, "");
  instance = other.registry.restore("breakable", json{{"file", broken.string()}}.dump(), state,
                                    [](const std::string&) {});
  EXPECT_THAT(error_of([&] { process(*instance, document, 1); }), HasSubstr("it is broken"));
}

TEST(WorkerInstance, SeesOnlyWhatItWants) {
  Workers workers(test_library("sees"));
  Loaded here(test_library("sees"));
  const SyntheticDocument document("some text to be cut", 1, 5);
  process(*workers.create(), document, 0);
  process(*here.create(), document, 0);
  EXPECT_EQ(workers.outputs, here.outputs);
}

TEST(WorkerInstance, KnowsTheVocabularyAndTellsItsOptions) {
  for (const bool workers : {false, true}) {
    PluginOptions options;
    options.workers = workers;
    Workers plugin(test_library("vocabulary"), options);
    const auto document = document_of(1);
    process(*plugin.create(), document, 0);
    plugin.registry.set_vocabulary({"zero", "", "two"});
    process(*plugin.create(), document, 0);
    EXPECT_THAT(plugin.outputs, ElementsAre("null", R"({"count":3,"first":"zero","beyond":null})"));
    EXPECT_EQ(plugin.registry.plugins().front().options, R"({"type":"object"})");
  }
}

TEST(WorkerInstance, CallsHaveAnOrder) {
  Workers good(test_library("none"));
  const auto document = document_of(1);
  auto instance = good.create();
  process(*instance, document, 0);
  EXPECT_THAT(error_of([&] { instance->load(instance->save()); }), HasSubstr("load was called out of order"));
  finish(*instance, document);
  EXPECT_THAT(error_of([&] { process(*instance, document, 0); }), HasSubstr("after finish"));
}

TEST(WorkerInstance, IsGivenUpInTheMiddleOfACall) {
  Workers workers(test_library("hangs"));
  const auto document = document_of(1);
  auto block = document.block(0);
  auto instance = workers.create(R"({"x":1})");
  instance->begin_process(block.view());
  instance.reset();
  EXPECT_EQ(read_error(workers), "");
}

}  // namespace
}  // namespace unroll::testing
