// Plugins in Python with the real host: the same outputs wherever a document is resumed, the error for each
// kind of fault, and the sandbox.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

PluginOptions with_python() {
  PluginOptions options;
  options.workers = true;
  options.python = UNROLL_PYTHON;
  return options;
}

/// A plugin's file, the registry that loaded it, and the outputs of its instances.
class Python {
 public:
  explicit Python(const std::string& body, const PluginOptions& options = with_python(),
                  const std::string& manifest = "{}")
      : registry(options) {
    std::ofstream(folder / "tried.manifest.json") << manifest;
    std::ofstream(folder / "tried.py")
        << "import numpy as np\n"
           "from unroll_plugin import Plugin\n"
           "class Tried(Plugin):\n"
           "  name = 'tried'; wants = ('hidden', 'text', 'word_end', 'ranks')\n"
        << body;
    load(folder / "tried.py");
  }
  Python(const PluginOptions& options, const fs::path& file) : registry(options) { load(file); }

  std::unique_ptr<PluginInstance> create(const std::string& options = "{}") {
    return registry.create(registry.plugins().front().name, options,
                           [this](std::string text) { outputs.push_back(std::move(text)); });
  }
  /// The outputs of a document; `resumed`: with a new instance before each block and the end.
  std::vector<std::string> read(const SyntheticDocument& document, bool resumed = false) {
    outputs.clear();
    auto instance = create();
    const auto resume = [&] {
      if (!resumed) return;
      const auto state = instance->save();
      instance = create();
      instance->load(state);
    };
    for (std::size_t i = 0; i < document.block_count(); ++i, resume()) process(*instance, document, i);
    finish(*instance, document);
    return outputs;
  }
  /// A document's error; empty if it does not fail.
  std::string error() {
    try {
      read(made_document({{"one "}, {"two "}}, 1));
    } catch (const PluginError& failed) {
      return failed.what();
    }
    return {};
  }

  TemporaryFolder folder;
  std::vector<std::string> log, outputs;
  PluginRegistry registry;

 private:
  void load(const fs::path& file) {
    registry.set_log([this](int, std::string_view, std::string_view text) { log.emplace_back(text); });
    registry.load_library(file);
  }
};

TEST(PythonPlugin, SeesWhatTheHostWrote) {
  Python python(
      "  def process(self, block):\n"
      "    self.emit([block.index, block.tokens, block.offsets, block.logprobs, block.hidden, "
      "block.text.hex(), block.word_end, block.ranks])\n"
      "  def finish(self, end): self.emit([end.tokens, end.bytes, end.word_end])\n");
  const SyntheticDocument document(SyntheticKind::kRandomBytes, 1);
  const auto outputs = python.read(document);
  ASSERT_THAT(outputs, SizeIs(document.block_count() + 1));
  EXPECT_EQ(json::parse(outputs.back()), json({document.whole().length(), document.text().size(), -0.5}));
  for (std::size_t i = 0; i < document.block_count(); ++i) {
    const auto block = document.block(i);
    const auto seen = json::parse(outputs[i]);
    EXPECT_EQ(seen[0], i);
    EXPECT_EQ(seen[1], json(block.tokens));
    EXPECT_EQ(seen[2], json(block.offsets));
    EXPECT_EQ(seen[3].get<std::vector<float>>(), block.logprobs);
    std::vector<float> hidden;
    for (const auto& row : seen[4]) {
      for (const float value : row) hidden.push_back(value);
    }
    EXPECT_EQ(hidden, block.hidden);
    EXPECT_EQ(seen[5].get<std::string>().size(), 2 * block.text.size());
    EXPECT_EQ(seen[6].get<std::vector<float>>(), block.word_end);
    EXPECT_EQ(seen[7].get<std::vector<std::int32_t>>(), block.ranks);
  }
}

TEST(PythonPlugin, TheExampleGivesTheSameOutputsWhereverItIsResumed) {
  Python python(with_python(), fs::path(UNROLL_SOURCE_DIR) / "examples/topic_boundaries/topic_boundaries.py");
  EXPECT_EQ(python.registry.plugins().front().name, "topics");
  EXPECT_THAT(python.registry.plugins().front().options, HasSubstr("\"threshold\""));
  const SyntheticDocument document(SyntheticKind::kProse, 3);
  const auto undisturbed = python.read(document);
  EXPECT_FALSE(undisturbed.empty());
  EXPECT_EQ(python.read(document, true), undisturbed);
}

TEST(PythonPlugin, ExceptionsNameTheirTypeAndLine) {
  EXPECT_THAT(Python("  def process(self, block): {}['x']\n").error(),
              AllOf(HasSubstr("tried"), HasSubstr("tried.py:5: KeyError: 'x'")));
  EXPECT_THAT(Python("  def process(self, block): self.emit(float('nan'))\n").error(), HasSubstr("NaN"));
}

TEST(PythonPlugin, OptionsAreRefusedWithTheirStatus) {
  Python python("  def process(self, block): pass\n");
  try {
    python.create(R"({"x":1})");
    FAIL() << "taken";
  } catch (const PluginError& error) {
    EXPECT_EQ(error.status, UNROLL_ERROR_OPTIONS);
    EXPECT_THAT(error.what(), HasSubstr("option \"x\" is unknown"));
  }
}

TEST(PythonPlugin, AFileThatCannotBeLoadedIsRefusedWithItsLine) {
  try {
    Python python("  def process(self, block) pass\n");
    FAIL() << "loaded";
  } catch (const PluginError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tried.py:5: SyntaxError: "));
  }
}

TEST(PythonPlugin, ACrashSaysWhere) {
  EXPECT_THAT(Python("  def process(self, block):\n    import ctypes; ctypes.string_at(0)\n").error(),
              AllOf(HasSubstr("signal 11"), HasSubstr("in process")));
}

TEST(PythonPlugin, AHangIsEnded) {
  auto options = with_python();
  options.deadline = std::chrono::milliseconds(1500);
  EXPECT_THAT(Python("  def process(self, block):\n    while True: pass\n", options).error(),
              HasSubstr("did not return from process within 1500 ms"));
}

TEST(PythonPlugin, MemoryIsLimited) {
  auto options = with_python();
  options.memory_bytes = std::uint64_t{256} << 20;
  EXPECT_THAT(Python("  def process(self, block): np.ones(1 << 30)\n", options).error(),
              HasSubstr("MemoryError"));
}

TEST(PythonPlugin, TheSandboxHoldsItUnlessItsManifestSaysOtherwise) {
  const std::string write = "  def process(self, block): open('/tmp/unroll-python-test', 'w')\n";
  const std::string reach = "  def process(self, block):\n    import socket; socket.socket()\n";
  const std::string start = "  def process(self, block):\n    import subprocess; subprocess.run(['true'])\n";
  EXPECT_THAT(Python(write).error(), HasSubstr("PermissionError"));
  EXPECT_THAT(Python(reach).error(), HasSubstr("may not use the network unless its manifest permits it"));
  EXPECT_THAT(Python(start).error(), HasSubstr("may not start processes unless its manifest permits it"));
  EXPECT_EQ(Python(reach, with_python(), R"({"network":true})").error(), "");
  EXPECT_EQ(Python(start, with_python(), R"({"processes":true,"files":true})").error(), "");
}

TEST(PythonPlugin, LogsAreLogged) {
  Python python("  def process(self, block): self.log.info('seen')\n");
  EXPECT_EQ(python.error(), "");
  EXPECT_THAT(python.log, ElementsAre("seen", "seen"));
}

}  // namespace
}  // namespace unroll::testing
