// The built-in plugins, on documents whose results are known.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::HasSubstr;

void expect_near(const json& object, const char* key, double expected) {
  ASSERT_TRUE(object.contains(key)) << object;
  EXPECT_NEAR(object[key].get<double>(), expected, 1e-5 * std::max(1.0, std::fabs(expected)))
      << key << object;
}

TEST(Score, LinesWorkedByHand) {
  const auto document = made_document({{"Hi ", -1}, {"you\n", -2}, {"\n", -0.5f}, {"Bye", -4}});
  const auto outputs = read("score", R"({"granularity":"line"})", document);
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0]["line"], 1);
  EXPECT_EQ(outputs[0]["tokens"], 2);
  EXPECT_EQ(shown(document, outputs[0]), "Hi you");
  expect_near(outputs[0], "nats", 3);
  expect_near(outputs[0], "bits_per_byte", 3 / std::log(2) / 7);  // its newline counts
  EXPECT_EQ(outputs[1]["line"], 3);
  EXPECT_EQ(shown(document, outputs[1]), "Bye");
  expect_near(outputs[1], "bits_per_byte", 4 / std::log(2) / 3);
  EXPECT_EQ(outputs[2]["type"], "document");
  EXPECT_EQ(outputs[2]["bytes"], 11);
  expect_near(outputs[2], "nats", 7.5);
  expect_near(outputs[2], "bits_per_byte", 7.5 / std::log(2) / 11);
  expect_near(outputs[2], "perplexity", std::exp(7.5 / 4));
  EXPECT_EQ(outputs[2]["surprising"], json::array());  // all too short to be ranked
}

TEST(Score, ParagraphsEndBehindABlankLine) {
  const auto document =
      made_document({{"\n  One line\n", -1}, {"and two.\n \n", -2}, {"A second paragraph.\r\n", -8}}, 1);
  const auto outputs = read("score", R"({"top":1})", document);
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(shown(document, outputs[0]), "One line\nand two.");
  EXPECT_EQ(outputs[0]["line"], 2);
  EXPECT_EQ(shown(document, outputs[1]), "A second paragraph.");
  EXPECT_EQ(outputs[1]["line"], 5);
}

TEST(Score, PassagesAddUpToTheDocument) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "line " + std::to_string(i * i) + " of a text without blank ones\n";
  const SyntheticDocument document(text, 3);
  const auto outputs = read("score", R"({"granularity":"line","top":5})", document);
  ASSERT_EQ(outputs.size(), 401u);
  double nats = 0, worst = 0;
  std::uint64_t tokens = 0, behind = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    nats += outputs[i]["nats"].get<double>();
    tokens += outputs[i]["tokens"].get<std::uint64_t>();
    worst = std::max(worst, outputs[i]["bits_per_byte"].get<double>());
    EXPECT_GE(outputs[i]["start"].get<std::uint64_t>(), behind);
    behind = outputs[i]["end"].get<std::uint64_t>();
    EXPECT_THAT(shown(document, outputs[i]), HasSubstr("without blank ones"));
  }
  expect_near(outputs[400], "nats", nats);
  EXPECT_EQ(outputs[400]["tokens"], tokens);
  const auto& top = outputs[400]["surprising"];
  ASSERT_EQ(top.size(), 5u);
  expect_near(top[0], "bits_per_byte", worst);
  EXPECT_EQ(top[0]["text"], shown(document, top[0]));
}

TEST(Score, ALongLineIsCutAndItsTokensCountWhereTheyBegin) {
  const auto document = made_document(std::vector<MadeToken>(5000, {"sixteen_bytes_xx", -1}), 64);
  const auto outputs = read("score", R"({"granularity":"line"})", document);
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0]["tokens"], 4096);
  expect_near(outputs[0], "nats", 4096);
  EXPECT_EQ(outputs[1]["start"], 65536);
  EXPECT_EQ(outputs[1]["tokens"], 5000 - 4096);
}

TEST(Score, TokensComeWithTheirOffsets) {
  const SyntheticDocument document(SyntheticKind::kRandomBytes, 5);
  std::vector<std::uint64_t> starts, ends;
  for (const auto& output : read("score", R"({"granularity":"token"})", document)) {
    if (output["type"] != "tokens") continue;
    for (const auto& start : output["start"]) starts.push_back(start);
    for (const auto& end : output["end"]) ends.push_back(end);
    EXPECT_EQ(output["nats"].size(), output["start"].size());
  }
  const auto& offsets = document.whole().offsets;
  EXPECT_EQ(starts, std::vector<std::uint64_t>(offsets.begin(), offsets.end() - 1));
  EXPECT_EQ(ends, std::vector<std::uint64_t>(offsets.begin() + 1, offsets.end()));
}

TEST(Score, AnEmptyDocumentHasAResult) {
  const auto outputs = read("score", "{}", made_document({}));
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0]["tokens"], 0);
  EXPECT_TRUE(outputs[0]["bits_per_byte"].is_null() && outputs[0]["perplexity"].is_null()) << outputs[0];
}

struct Use {
  const char *plugin, *options;
};

TEST(Builtin, ResumesAtEveryBlockWhateverTheOptions) {
  for (const auto& [plugin, options] :
       {Use{"score", R"({"granularity":"line"})"}, Use{"score", R"({"granularity":"token","top":0})"},
        Use{"score", R"({"granularity":"document","top":1000})"}, Use{"anomaly", R"({"top":1})"},
        Use{"anomaly", R"({"top_window":3,"alert_rate":100})"}, Use{"anomaly", R"({"session":" "})"},
        Use{"summarize", R"({"words":500})"}, Use{"summarize", R"({"every":4096})"},
        Use{"embed", R"({"segment_tokens":7})"}, Use{"logprobs", R"({"top":3})"}, Use{"words", "{}"},
        Use{"words", R"({"boundary":"raw"})"}}) {
    for (const auto kind : kSyntheticKinds) {
      const SyntheticDocument document(kind, 99);
      EXPECT_EQ(read(plugin, options, document, true), read(plugin, options, document)) << plugin << options;
    }
  }
}

TEST(Logprobs, EachTokenComesWithItsLikeliestAlternatives) {
  const SyntheticDocument document(SyntheticKind::kRandomBytes, 5);
  std::size_t at = 0;
  const auto& whole = document.whole();
  for (const auto& output : read("logprobs", R"({"top":2})", document)) {
    for (std::size_t i = 0; i < output["token"].size(); ++i, ++at) {
      EXPECT_EQ(output["token"][i], whole.tokens[at]);
      EXPECT_EQ(output["start"][i], whole.offsets[at]);
      EXPECT_EQ(output["end"][i], whole.offsets[at + 1]);
      EXPECT_NEAR(output["logprob"][i].get<float>(), whole.logprobs[at], 1e-4);
      const auto& top = output["top"][i];
      ASSERT_EQ(top.size(), 2u);
      for (const auto& [id, logprob] : top.get<std::vector<std::pair<int, double>>>()) {
        if (id == whole.tokens[at]) {
          EXPECT_EQ(logprob, output["logprob"][i]);
        }
      }
    }
  }
  EXPECT_EQ(at, whole.tokens.size());
}

TEST(Builtin, RefusesAStateMadeWithOtherOptions) {
  for (const auto& [plugin, options] :
       {Use{"score", R"({"granularity":"line"})"}, Use{"anomaly", R"({"top":0})"},
        Use{"embed", R"({"segment_tokens":7})"}, Use{"words", R"({"boundary":"raw"})"}}) {
    Loaded loaded(builtin_library(plugin));
    const SyntheticDocument document(SyntheticKind::kLog, 1);
    auto instance = loaded.create();
    for (std::size_t i = 0; i < document.block_count(); ++i) process(*instance, document, i);
    EXPECT_THROW(loaded.create(options)->load(instance->save()), PluginError) << plugin;
  }
}

// A sanitizer finds more; a division by zero ends the process in any case.
TEST(Builtin, DamagedStatesDoNoHarm) {
  const SyntheticDocument document("One sentence stands here for all. It is followed by another one.\n", 4);
  const std::size_t middle = document.block_count() / 2;
  for (const auto& [plugin, options] : {Use{"score", "{}"}, Use{"anomaly", R"({"session":" "})"},
                                        Use{"summarize", "{}"}, Use{"embed", "{}"}, Use{"words", "{}"}}) {
    Loaded loaded(builtin_library(plugin));
    auto instance = loaded.create(options);
    for (std::size_t i = 0; i < middle; ++i) process(*instance, document, i);
    const auto state = instance->save();
    std::size_t refused = 0;
    for (std::size_t at = 0; at + 8 <= state.size(); ++at) {
      for (const auto byte : {std::byte{0}, std::byte{0xFF}}) {
        auto damaged = state;
        std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(at), 8, byte);
        try {
          auto other = loaded.create(options);
          other->load(damaged);
          for (std::size_t i = middle; i < document.block_count(); ++i) process(*other, document, i);
          finish(*other, document);
        } catch (const PluginError&) {
          ++refused;
        }
      }
    }
    EXPECT_GT(refused, 0u) << plugin;
  }
}

TEST(Builtin, ALogProbabilityThatIsNoNumberIsAnError) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const char* plugin : {"score", "anomaly", "summarize", "logprobs", "words"}) {
    for (const float odd : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}) {
      try {
        read(plugin, "{}", made_document({{"a", -1}, {"b", odd}}));
        ADD_FAILURE() << plugin << " took " << odd;
      } catch (const PluginError& e) {
        EXPECT_THAT(e.what(), HasSubstr("not a finite number"));
      }
    }
  }
}

TEST(Builtin, WrongOptionsAreNamed) {
  for (const auto& [plugin, options] :
       {Use{"score", R"({"granularity":"words"})"}, Use{"score", R"({"top":1.5})"},
        Use{"anomaly", R"({"alert_rate":"5"})"}, Use{"anomaly", R"({"alert_rate":0})"},
        Use{"anomaly", R"({"top_window":-1})"}, Use{"anomaly", R"({"top":-1})"},
        Use{"anomaly", R"({"top":18446744073709551615})"}, Use{"anomaly", R"({"session":""})"},
        Use{"anomaly", R"({"session":["blk_"]})"}, Use{"summarize", R"({"words":0})"},
        Use{"embed", R"({"segment_tokens":"7"})"}, Use{"embed", R"({"segments":7})"},
        Use{"logprobs", R"({"top":21})"}, Use{"words", R"({"boundary":"both"})"}}) {
    try {
      Loaded(builtin_library(plugin)).create(options);
      ADD_FAILURE() << plugin << " took " << options;
    } catch (const PluginError& e) {
      EXPECT_EQ(e.status, UNROLL_ERROR_OPTIONS);
      EXPECT_THAT(e.what(), HasSubstr("\"" + json::parse(options).items().begin().key() + "\""));
    }
  }
}

}  // namespace
}  // namespace unroll::testing
