// How plugins go on with a new document: in this process, in a worker, and what the built-in ones keep.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::HasSubstr;

/// A document cut at a byte: the tokens before it in blocks of the first one, the others in those of the
/// second.
struct Cut {
  SyntheticBlock first, second;
  std::string head;  ///< Bytes of the first document that begin the second one's first token.
  std::uint64_t bytes;

  Cut(const SyntheticDocument& document, std::uint64_t at) : bytes(at) {
    const auto& whole = document.whole();
    std::size_t tokens = 0;
    while (tokens < whole.length() && whole.offsets[tokens + 1] <= at) ++tokens;
    first = whole.slice(0, 0, tokens);
    second = whole.slice(0, tokens, whole.length() - tokens);
    const auto begin = whole.offsets[tokens];
    head = whole.text.substr(begin, at - begin);
    second.text.erase(0, head.size());
    for (auto& offset : second.offsets) offset = offset < at ? 0 : offset - at;
  }
};

/// The outputs for the second document.
std::vector<json> read_after(const std::string& builtin, const std::string& options, Cut& cut) {
  Loaded plugin(builtin_library(builtin));
  auto instance = plugin.create(options);
  const auto resume = [&] {
    const auto state = instance->save();
    instance = plugin.create(options);
    instance->load(state);
  };
  if (cut.first.length() > 0) instance->process(cut.first.view());
  resume();
  plugin.outputs.clear();
  instance->fork(
      {sizeof(unroll_fork_point), cut.first.length(), cut.bytes, cut.head.data(), cut.head.size()});
  resume();
  for (std::size_t i = 0; i < cut.second.length(); i += 3) {
    auto block = cut.second.slice(i / 3, i, std::min<std::size_t>(3, cut.second.length() - i));
    instance->process(block.view());
  }
  instance->finish(cut.second.length(), cut.second.text.size());
  std::vector<json> parsed;
  for (const auto& output : plugin.outputs) parsed.push_back(json::parse(output));
  return parsed;
}

/// Lines of a few sessions in tokens that are cut anywhere, also after line ends.
SyntheticDocument random_log(std::mt19937& random, int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += "id=" + std::to_string(random() % 7) + (random() % 9 == 0 ? " fails" : " runs") + " after " +
            std::to_string(random() % 1000) + (random() % 20 == 0 ? "\n\n" : "\n");
  }
  std::vector<MadeToken> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = 1 + random() % 9;
    tokens.push_back({text.substr(at, length), -0.1f * static_cast<float>(random() % 50)});
    at += length;
  }
  return made_document(tokens, 5);
}

TEST(Fork, AnomalyScoresAreThoseOfBothDocumentsInOne) {
  std::mt19937 random(28);
  const auto* options = R"({"session":"id=","top":5})";
  const auto document = random_log(random, 120);
  const auto whole = read("anomaly", options, document);
  for (int i = 0; i < 60; ++i) {
    const auto at = random() % (document.text().size() + 1);
    SCOPED_TRACE("cut at byte " + std::to_string(at));
    Cut cut(document, at);
    const auto lines_before =
        static_cast<std::uint64_t>(std::ranges::count(document.text().substr(0, at), '\n'));
    const auto after = read_after("anomaly", options, cut);
    std::size_t next = 0;
    std::uint64_t lines = 0;
    for (const auto& output : whole) {
      const bool is_session = output.value("type", "") == "session";
      const auto& last_line = output.contains("line") ? output["line"] : output.value("last_line", json(0));
      if (last_line.get<std::uint64_t>() <= lines_before) continue;  // of the document before
      ASSERT_LT(next, after.size());
      const auto& found = after[next++];
      EXPECT_EQ(found["score"], output["score"]);
      EXPECT_EQ(found["end"].get<std::uint64_t>() + at, std::max(output["end"].get<std::uint64_t>(), at));
      const auto start = output["start"].get<std::uint64_t>();
      EXPECT_EQ(found["start"].get<std::uint64_t>(), start < at ? 0 : start - at);
      if (is_session) {
        EXPECT_EQ(found["session"], output["session"]);
        EXPECT_EQ(found["lines"], output["lines"]);
        EXPECT_EQ(found["last_line"].get<std::uint64_t>(), last_line.get<std::uint64_t>() - lines_before);
      } else {
        EXPECT_EQ(found["line"].get<std::uint64_t>(), ++lines);
      }
    }
    ASSERT_EQ(next + 1, after.size());
    EXPECT_EQ(after.back()["lines"], lines);
    for (const auto& top : after.back()["top"]) EXPECT_LE(top["line"].get<std::uint64_t>(), lines);
  }
}

TEST(Fork, ScoreAndEmbedBeginAnew) {
  std::mt19937 random(29);
  const auto document = random_log(random, 30);
  for (const auto at : {std::size_t{0}, document.text().size() / 2, document.text().size()}) {
    Cut cut(document, at);
    std::vector<std::size_t> cuts;
    for (std::size_t i = 0; i < cut.second.length(); i += 3) cuts.push_back(i);
    const SyntheticDocument second(cut.second, cuts);
    for (const std::string plugin : {"score", "embed"}) {
      EXPECT_EQ(read_after(plugin, "{}", cut), read(plugin, "{}", second)) << plugin << " at " << at;
    }
  }
}

TEST(Fork, SummarizeKeepsWhatIsUsual) {
  const std::string usual = "The harbour was quiet in the morning and the boats lay still. ";
  const std::string strange = "A comet fell into the old lighthouse garden last night again. ";
  std::vector<MadeToken> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back({usual, -40, {1, 0}});
  const auto before = tokens.size();
  for (const auto& text : {usual, strange, usual}) tokens.push_back({text, -40, {1, 0}});
  const auto document = made_document(tokens);
  Cut cut(document, before * usual.size());
  const auto summary = read_after("summarize", R"({"words":12})", cut).back();
  for (const auto& sentence : summary["sentences"]) {
    const auto start = sentence["start"].get<std::size_t>(), end = sentence["end"].get<std::size_t>();
    EXPECT_EQ(cut.second.text.substr(start, end - start), sentence["text"]);
  }
  EXPECT_FALSE(summary["sentences"].empty());
}

TEST(Fork, APluginWithAStateAndWithoutForkIsRefusedByName) {
  PluginOptions workers{.workers = true};
  for (const auto& options : {PluginOptions{}, workers}) {
    PluginRegistry registry(options);
    registry.load_library(test_library("save_changes"));
    EXPECT_FALSE(registry.find("bad")->forks);
    const auto instance = registry.create("bad", "{}", [](const std::string&) {});
    try {
      instance->fork({sizeof(unroll_fork_point), 0, 0, nullptr, 0});
      ADD_FAILURE() << "it was forked";
    } catch (const PluginError& error) {
      EXPECT_THAT(error.what(), HasSubstr("plugin bad: "));
      EXPECT_THAT(error.what(), HasSubstr("unroll.fork/1"));
    }
  }
}

TEST(Fork, OnePluginGivesTheSameInAWorker) {
  std::mt19937 random(30);
  const auto document = random_log(random, 40);
  Cut cut(document, document.text().size() / 2 + 1);
  std::vector<std::string> outputs[2];
  for (const bool workers : {false, true}) {
    PluginRegistry registry(PluginOptions{.workers = workers});
    registry.load_library(builtin_library("anomaly"));
    const auto instance = registry.create(
        "anomaly", "{}", [&](std::string text) { outputs[workers].push_back(std::move(text)); });
    instance->process(cut.first.view());
    instance->fork(
        {sizeof(unroll_fork_point), cut.first.length(), cut.bytes, cut.head.data(), cut.head.size()});
    instance->process(cut.second.view());
    instance->finish(cut.second.length(), cut.second.text.size());
  }
  EXPECT_EQ(outputs[0], outputs[1]);
  EXPECT_GT(outputs[0].size(), 20u);
}

}  // namespace
}  // namespace unroll::testing
