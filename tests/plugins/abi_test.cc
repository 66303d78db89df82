// A plugin that was built against the released ABI keeps working, and so do newer ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::ElementsAre;

/// In blocks of two tokens, with artificial alternatives.
std::vector<std::string> outputs_of(const std::string& library) {
  const SyntheticDocument document("Ab cd ef gh ij kl", 3, 2);
  SyntheticBlock whole = document.whole();
  whole.tokens[0] = 7;
  whole.logprobs[0] = -2;
  whole.entropy[0] = 3;
  whole.hidden[0] = 5;
  std::vector<std::size_t> cuts;
  for (std::size_t first = 0; first < whole.length(); first += 2) cuts.push_back(first);
  const SyntheticDocument made(std::move(whole), std::move(cuts));

  Loaded plugin(test_library(library));
  auto instance = plugin.create();
  for (std::size_t i = 0; i < made.block_count(); ++i) {
    process(*instance, made, i);
    const auto state = instance->save();
    instance = plugin.create();
    instance->load(state);
  }
  finish(*instance, made);
  return plugin.outputs;
}

TEST(PluginAbi, RunsWhatWasBuiltAgainstTheFirstHeader) {
  EXPECT_THAT(
      outputs_of("frozen_1"),
      ElementsAre(R"({"first_token":0,"token":7,"bytes":10,"logprob":-2,"entropy":3,"dim":8,"hidden":5,)"
                  R"("text":65,"top_k":2})",
                  R"({"tokens":5,"text_bytes":17,"end":[5,17]})"));
}

TEST(PluginAbi, RefusesAsTheFirstHeaderSays) {
  Loaded plugin(test_library("frozen_1"));
  try {
    plugin.create(R"({"a":1})");
    FAIL() << "it took an option";
  } catch (const PluginError& e) {
    EXPECT_EQ(e.status, UNROLL_ERROR_OPTIONS);
    EXPECT_STREQ(e.what(), "plugin frozen-1: it takes no options");
  }
}

TEST(PluginAbi, RunsALibraryOfALaterHeader) {
  EXPECT_THAT(outputs_of("from_the_future"), ElementsAre(R"({"telepathy":false})"));
}

// The host once read fields by its own sizeof, but a library of an older header ends before that.
TEST(PluginAbi, ReadsNoFurtherThanALibrarySays) {
  EXPECT_THAT(outputs_of("smallest"), ElementsAre("{}"));
}

TEST(PluginAbi, StructsKeepTheirFieldsWherePromised) {
  EXPECT_EQ(offsetof(unroll_plugin, create), 40u);
  EXPECT_EQ(offsetof(unroll_plugin, extension), 88u);
  EXPECT_EQ(offsetof(unroll_block, top_logprobs), 104u);
  EXPECT_EQ(offsetof(unroll_host, write), 48u);
  EXPECT_EQ(sizeof(unroll_tensor), 48u);
}

}  // namespace
}  // namespace unroll::testing
