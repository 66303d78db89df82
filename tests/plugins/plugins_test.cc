// The host: loading libraries, and what it permits a plugin.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/json_border.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// The error's text; empty if there is none.
template <class F>
std::string error_of(F&& body) {
  try {
    body();
  } catch (const PluginError& e) {
    return e.what();
  }
  return {};
}

std::string load_error(const fs::path& file) {
  PluginRegistry registry;
  auto text = error_of([&] { registry.load_library(file); });
  EXPECT_EQ(text.empty(), registry.plugins().size() == 1);
  EXPECT_TRUE(text.empty() || text.find(file.filename().string()) != std::string::npos) << text;
  return text;
}

std::vector<std::string> names(const PluginRegistry& registry) {
  std::vector<std::string> list;
  for (const auto& info : registry.plugins()) list.push_back(info.name);
  return list;
}

const std::vector<MadeToken> kTokens = {{"a"}, {"b"}, {"c"}, {"d"}};

TEST(PluginLibrary, LoadsAPluginInPlainC) {
  EXPECT_EQ(load_error(test_library("none")), "");
}

TEST(PluginLibrary, SaysWhatIsWrongWithAFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text.so") << "this is no shared library, whatever it is called";
  EXPECT_THAT(load_error(folder / "missing.so"), HasSubstr("no such file"));
  EXPECT_THAT(load_error(folder.path()), HasSubstr("a folder"));
  EXPECT_THAT(load_error(folder / "text.so"), HasSubstr("cannot be loaded as a shared library"));
}

TEST(PluginLibrary, RefusesWhatDoesNotKeepToTheHeader) {
  EXPECT_THAT(load_error(test_library("no_entry")), HasSubstr("does not export `unroll_plugin_entry`"));
  EXPECT_THAT(load_error(test_library("abi_version")), AllOf(HasSubstr("plugin ABI 7"), HasSubstr("has 1")));
  EXPECT_THAT(load_error(test_library("struct_size")), HasSubstr("size is 16"));
  EXPECT_THAT(load_error(test_library("name")), HasSubstr("\"Bad_name\""));
  EXPECT_THAT(load_error(test_library("no_finish")), HasSubstr("no function `finish`"));
  EXPECT_THAT(load_error(test_library("save_without_load")), HasSubstr("only one of `save` and `load`"));
  EXPECT_THAT(load_error(test_library("unknown_want")), HasSubstr("newer unroll"));
}

TEST(PluginRegistry, ANameIsTakenOnce) {
  const TemporaryFolder folder;
  fs::copy_file(test_library("none"), folder / "other.so");
  PluginRegistry registry;
  registry.load_library(test_library("none"));
  EXPECT_THAT(error_of([&] { registry.load_library(folder / "other.so"); }), HasSubstr("good is taken by"));
  ASSERT_NE(registry.find("good"), nullptr);
  EXPECT_EQ(registry.find("good")->library, test_library("none"));
  EXPECT_EQ(registry.find("picky"), nullptr);
}

TEST(PluginRegistry, LoadsWhatIsSoundInAFolder) {
  const TemporaryFolder folder;
  fs::copy_file(test_library("none"), folder / "b.so");
  fs::copy_file(test_library("refuses_options"), folder / "c.so");
  fs::copy_file(test_library("no_entry"), folder / "a.so");
  fs::copy_file(test_library("sees"), folder / "sees.so.old");
  PluginRegistry registry;
  EXPECT_THAT(registry.load_directory(folder.path()), ElementsAre(HasSubstr("a.so")));
  EXPECT_THAT(names(registry), ElementsAre("good", "picky"));
  EXPECT_THAT(registry.load_directory(folder / "missing"), IsEmpty());
  EXPECT_THAT(registry.load_directory(folder / "a.so"), SizeIs(1));
}

TEST(PluginRegistry, BuiltInPluginsLoad) {
  PluginRegistry registry;
  EXPECT_THAT(registry.load_directory(BUILTIN_PLUGIN_DIRECTORY), IsEmpty());
  EXPECT_THAT(names(registry), ElementsAre("anomaly", "embed", "logprobs", "score", "summarize", "words"));
  EXPECT_EQ(registry.find("embed")->wants, UNROLL_WANT_HIDDEN | UNROLL_WANT_TEXT);
}

TEST(PluginOptions, AreAnObjectThatThePluginUnderstands) {
  Loaded picky(test_library("refuses_options"));
  EXPECT_NE(picky.create(""), nullptr);
  EXPECT_THAT(error_of([&] { picky.create("[1]"); }), HasSubstr("must be a JSON object"));
  EXPECT_THAT(error_of([&] { picky.create("{"); }), HasSubstr("must be a JSON object"));
  EXPECT_EQ(error_of([&] { picky.create("{\"x\":1}"); }), "plugin picky: option \"x\" must not be there");
  EXPECT_THAT(error_of([&] { picky.registry.create("nobody", "{}", [](const std::string&) {}); }),
              AllOf(HasSubstr("nobody"), HasSubstr("picky")));
}

TEST(PluginInstance, SeesOnlyWhatItWants) {
  Loaded sees(test_library("sees"));
  const SyntheticDocument document("some text to be cut", 1, 5);
  auto instance = sees.create();
  process(*instance, document, 0);
  const auto block = document.block(0);
  const std::size_t last = (block.length() - 1) * 5;
  EXPECT_EQ(json::parse(sees.outputs.at(0)), json({{"top_k", 2},
                                                   {"last", {block.top_ids[last], block.top_ids[last + 1]}},
                                                   {"entropy", 0},
                                                   {"hidden", 0},
                                                   {"text", 0}}));
}

TEST(PluginInstance, AnExceptionBecomesAnErrorAndTheInstanceStaysFailed) {
  Loaded throws(test_library("throws"));
  const auto document = made_document(kTokens, 1);
  auto instance = throws.create();
  EXPECT_THAT(error_of([&] { process(*instance, document, 0); }),
              AllOf(HasSubstr("plugin throws"), HasSubstr("process"), HasSubstr("no cheese")));
  EXPECT_THAT(error_of([&] { process(*instance, document, 0); }), HasSubstr("after a failure"));
  EXPECT_THAT(error_of([&] { finish(*instance, document); }), HasSubstr("after a failure"));
  auto other = throws.create();
  EXPECT_THAT(error_of([&] { process(*other, document, 1); }), HasSubstr("an exception left"));
}

TEST(PluginInstance, EmitsJsonOrFails) {
  Loaded bad(test_library("invalid_json"));
  auto instance = bad.create();
  EXPECT_THAT(error_of([&] { process(*instance, made_document(kTokens), 0); }), HasSubstr("JSON value"));
  EXPECT_THAT(bad.outputs, IsEmpty());
}

TEST(PluginInstance, EmitsAndWritesOnlyWhereItMay) {
  Loaded early(test_library("emits_in_create"));
  EXPECT_THAT(error_of([&] { early.create(); }), HasSubstr("outside of process and finish"));
  Loaded writes(test_library("writes_in_process"));
  auto instance = writes.create();
  EXPECT_THAT(error_of([&] { process(*instance, made_document(kTokens), 0); }), HasSubstr("outside of save"));
}

TEST(PluginInstance, CallsHaveAnOrder) {
  Loaded good(test_library("none"));
  const auto document = made_document(kTokens);
  auto instance = good.create();
  process(*instance, document, 0);
  const auto state = instance->save();
  EXPECT_THAT(error_of([&] { instance->load(state); }), HasSubstr("load was called out of order"));
  finish(*instance, document);
  EXPECT_THAT(error_of([&] { process(*instance, document, 1); }), HasSubstr("after finish"));
  EXPECT_THAT(error_of([&] { finish(*instance, document); }), HasSubstr("after finish"));
}

TEST(PluginInstance, RefusesAStateThatIsNone) {
  Loaded good(test_library("none"));
  const std::vector<std::byte> state(3);
  EXPECT_EQ(error_of([&] { good.create()->load(state); }),
            "plugin good: the saved state is not one of its own");
  Loaded stateless(test_library("no_state"));
  EXPECT_EQ(error_of([&] { stateless.create()->load({}); }), "");
  EXPECT_THAT(error_of([&] { stateless.create()->load(state); }), HasSubstr("keeps none"));
}

TEST(PluginInstance, WhatTheReceiverThrowsComesBackUnchanged) {
  Loaded sees(test_library("sees"));
  struct Full {};
  auto instance = sees.registry.create("sees", "{}", [](const std::string&) { throw Full(); });
  const SyntheticDocument document("some text to be cut", 1, 5);
  EXPECT_THROW(process(*instance, document, 0), Full);
  EXPECT_THAT(error_of([&] { finish(*instance, document); }), HasSubstr("after a failure"));
}

TEST(PluginInstance, OutlivesItsRegistry) {
  std::unique_ptr<PluginInstance> instance;
  std::vector<std::string> outputs;
  {
    PluginRegistry registry;
    registry.load_library(test_library("none"));
    instance = registry.create("good", "{}", [&](std::string text) { outputs.push_back(std::move(text)); });
  }
  finish(*instance, made_document({}));
  EXPECT_THAT(outputs, ElementsAre("{}"));
  EXPECT_EQ(instance->info().name, "good");
}

TEST(Output, LinesBehindANulAreNoPartOfAJsonValue) {
  using namespace std::string_literals;
  EXPECT_THAT(output_fault("{\"a\":1}\0\n{\"b\":2}"s), HasSubstr("not exactly one JSON value"));
  EXPECT_THAT(output_fault("1\0"s), HasSubstr("not exactly one JSON value"));
  EXPECT_EQ(output_fault("{\"a\":\"\\u0000\"}"), "") << "written as an escape it is a character like others";
}

}  // namespace
}  // namespace unroll::testing
