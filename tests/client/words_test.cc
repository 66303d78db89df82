// unroll score --granularity word: against the whole distributions that `unroll logits` gives, and its
// tables.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <ATen/ATen.h>

#include "model/safetensors.h"
#include "tests/client/end_to_end.h"
#include "tokenizer/tokenizer.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// The fields of each line of a table without quoted fields.
std::vector<std::vector<std::string>> table(const std::string& text, char separator) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto& row = rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, separator);) row.push_back(field);
  }
  return rows;
}

bool is_space(char c) {
  return std::string_view(" \t\n\v\f\r").find(c) != std::string_view::npos;
}

class Words : public WithDaemon {
 protected:
  static void SetUpTestSuite() {
    WithDaemon::SetUpTestSuite();
    write_tiny_pretrained(path("llama"));
    std::string text;
    for (int i = 0; i < 170; ++i)  // a thousand words
      text += "Die größte  Stadt, no. " + std::to_string(i * 7919 % 1000) + ", sleeps.\n" +
              (i % 4 == 0 ? "\n" : "") + (i % 7 == 0 ? "\tUnquestionably! \n" : "");
    write_file(path("words.txt"), text);
  }

  /// What a word's row must say.
  struct Expected {
    std::string word;
    std::size_t start, end, tokens = 0;
    double bits = 0, entropy = 0;
    std::int64_t rank = 0;
  };

  /// By the definition: each word's tokens are multiplied, as are the probabilities of all tokens after which
  /// it ends.
  static std::vector<Expected> brute_force(const std::string& model, const std::string& text,
                                           bool corrected) {
    const auto vocabulary = Vocabulary::load(model);
    StreamingTokenizer tokenizer(vocabulary);
    std::vector<Token> tokens;
    tokenizer.append(text, tokens);
    tokenizer.finish(tokens);
    std::vector<std::int64_t> ids = {vocabulary->first_input()};
    for (const auto& token : tokens) ids.push_back(token.id);
    write_safetensors(path("tokens"), {{"tokens", at::tensor(ids).unsqueeze(0)}});
    const auto run =
        unroll({"logits", "--model", model, "--tokens", path("tokens"), "--out", path("logits")});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const auto logprobs =
        at::log_softmax(read_safetensors(path("logits")).at("logits").squeeze(0).to(at::kDouble), -1);
    auto members = at::zeros({logprobs.size(1)}, at::kDouble);
    for (std::int32_t id = 0; id < vocabulary->size(); ++id) {
      const auto bytes = vocabulary->bytes(id);
      if (!bytes.empty() && is_space(bytes.front())) members[id] = 1;
    }
    for (const auto id : vocabulary->ends()) members[id] = 1;
    const auto ends = (logprobs.exp() * members).sum(-1).log2();

    std::vector<Expected> words;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (is_space(text[at]) || (at > 0 && !is_space(text[at - 1]))) continue;
      Expected word{{}, at, at};
      while (word.end < text.size() && !is_space(text[word.end])) ++word.end;
      word.word = text.substr(at, word.end - at);
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto& token = tokens[i];
        std::size_t first = token.begin;  // its first byte that is no space
        while (first < token.begin + token.length && is_space(text[first])) ++first;
        const bool in_word = first < token.begin + token.length && first >= word.start && first < word.end;
        const auto place = static_cast<std::int64_t>(i);
        const auto row = logprobs[place];
        if (in_word) {
          word.bits -= row[token.id].item<double>() / std::log(2);
          if (++word.tokens == 1) {
            word.entropy = -(row.exp() * row).sum().item<double>() / std::log(2);
            word.rank = 1 + (row > row[token.id]).sum().item<std::int64_t>();
            const bool follows =
                token.begin > 0 && is_space(text[token.begin]) && !is_space(text[token.begin - 1]);
            if (corrected && follows) word.bits += ends[place].item<double>();
          }
          if (corrected && token.begin + token.length == word.end)
            word.bits -= ends[place + 1].item<double>();
        }
      }
      words.push_back(word);
    }
    return words;
  }

  static void expect_brute_force(const std::string& model, const std::string& boundary) {
    const std::string text = read_file(path("words.txt"));
    const auto expected = brute_force(model, text, boundary == "corrected");
    const auto finished = unroll({"score", path("words.txt"), "--granularity", "word", "--format", "tsv",
                                  "--raw", "--without-cache", "--word-boundary", boundary, "--dtype", "fp32",
                                  "--embedded", "--model", model});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    const auto rows = table(finished.out, '\t');
    ASSERT_EQ(rows.size(), expected.size() + 1);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto& row = rows[i + 1];
      const auto& word = expected[i];
      SCOPED_TRACE(testing::PrintToString(row));
      ASSERT_EQ(row.size(), 10u);
      EXPECT_EQ(row[1], word.word);
      EXPECT_EQ(row[2], std::to_string(word.start));
      EXPECT_EQ(row[3], std::to_string(word.end));
      EXPECT_NEAR(std::stod(row[6]), word.bits, 1e-3);
      EXPECT_NEAR(std::stod(row[7]), word.entropy, 1e-3);
      EXPECT_EQ(row[8], std::to_string(word.rank));
      EXPECT_EQ(row[9], std::to_string(word.tokens));
    }
    // Places in characters.
    const auto& last = rows.back();
    EXPECT_LT(std::stoul(last[4]), std::stoul(last[2]));
    EXPECT_EQ(std::stoul(last[5]) - std::stoul(last[4]), last[1].size());
  }
};

TEST_F(Words, AreThoseOfTheWholeDistributions) {
  for (const auto& name : {"model", "llama"}) {
    expect_brute_force(path(name), "corrected");
    expect_brute_force(path(name), "raw");
  }
}

/// UNROLL_WORDS_MODEL: a model of any size, such as a pretrained one. Its distributions take some GB.
TEST_F(Words, OfAnyModelAreThoseOfTheWholeDistributions) {
  const char* model = std::getenv("UNROLL_WORDS_MODEL");
  if (model == nullptr) GTEST_SKIP() << "UNROLL_WORDS_MODEL names no model";
  for (const auto* boundary : {"corrected", "raw"}) expect_brute_force(model, boundary);
}

TEST_F(Words, AddUpToTheDocument) {
  for (const auto* boundary : {"corrected", "raw"}) {
    const auto lines = lines_of(read_embedded({"score", path("words.txt"), "--granularity", "word",
                                               "--format", "ndjson", "--raw", "--word-boundary", boundary}));
    const json& document = lines.back();
    double sum = document["separator_bits"];
    for (const auto& line : lines) {
      if (line["type"] == "word") sum += line["bits"].get<double>();
    }
    // Each figure has six digits.
    EXPECT_NEAR(sum, document["bits"].get<double>() + document["end_bits"].get<double>(), 1e-5 * sum);
    EXPECT_EQ(document["words"], lines.size() - 1);
    const auto whole = json::parse(read_embedded({"score", path("words.txt"), "--format", "json", "--raw"}));
    for (const auto* figure : {"bits_per_byte", "perplexity"}) {
      const double expected = whole[figure];
      EXPECT_NEAR(document[figure].get<double>(), expected, 1e-5 * expected);
    }
  }
}

TEST_F(Words, AreTheSameBytesByTheDaemonAndForAPipe) {
  for (const auto* format : {"text", "json", "ndjson", "csv", "tsv"}) {
    const std::vector<std::string> command = {"score", path("words.txt"), "--granularity",
                                              "word",  "--format",        format};
    EXPECT_EQ(read_by_daemon(command), read_embedded(command));
  }
}

TEST_F(Words, OfShuffledItemsAreTheSameRows) {
  const std::vector<std::string> items = {"The keys to the cabinet are here.", "Said \"no, never\", once.",
                                          "größer", "NA"};
  const auto rows_of = [&](const std::vector<std::size_t>& order) {
    std::string text;
    for (const auto i : order) text += items[i] + "\n";
    write_file(path("items.txt"), text);
    std::map<std::size_t, std::vector<std::string>> rows;  // by item, without its number
    std::istringstream lines(read_by_daemon(
        {"score", path("items.txt"), "--each-line", "--granularity", "word", "--format", "csv"}));
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "item,word,start,end,start_char,end_char,bits,entropy,rank,tokens");
    while (std::getline(lines, line)) {
      const auto comma = line.find(',');
      rows[order.at(std::stoul(line.substr(0, comma)) - 1)].push_back(line.substr(comma));
    }
    return rows;
  };
  const auto rows = rows_of({0, 1, 2, 3});
  EXPECT_EQ(rows_of({3, 1, 0, 2}), rows);
  EXPECT_EQ(rows.at(0).size(), 7u);
  EXPECT_THAT(rows.at(1), ElementsAre(StartsWith(",Said,0,4,"), StartsWith(",\"\"\"no,\",5,9,"),
                                      StartsWith(",\"never\"\",\",10,17,"), StartsWith(",once.,18,23,")));
}

TEST_F(Words, AfterAContextAreThoseOfTheWholeText) {
  write_file(path("first.txt"), "It was a dark night.");
  write_file(path("second.txt"), " Nobody slept.");
  write_file(path("both.txt"), "It was a dark night. Nobody slept.");
  const Surroundings cache{"", {{"XDG_CACHE_HOME", path("cache")}}};
  const auto rows_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {"score", "--granularity", "word", "--format", "tsv", "--raw"};
    command.insert(command.end(), more.begin(), more.end());
    return table(read_embedded(command, cache), '\t');
  };
  const auto whole = rows_of({path("both.txt")}),
             rest = rows_of({path("second.txt"), "--after", path("first.txt")});
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[1][1], "Nobody");
  EXPECT_EQ(rest[1][2], "1");
  for (const std::size_t column : {6, 7, 8, 9}) {
    EXPECT_EQ(rest[1][column], whole[6][column]);
    EXPECT_EQ(rest[2][column], whole[7][column]);
  }
}

TEST_F(Words, WithoutTheCacheAreThoseOfTheNetworkAlone) {
  auto config = json::parse(std::ifstream(path("model") + "/config.json"));
  std::filesystem::copy(path("model"), path("cached"));
  config["document_cache_tokens"] = 4096;
  write_file(path("cached/config.json"), config.dump());
  const auto read = [&](const std::string& model, std::vector<std::string> more) {
    more.insert(more.begin(), {"score", path("words.txt"), "--granularity", "word", "--format", "csv",
                               "--embedded", "--model", model});
    return unroll(more).out;
  };
  const auto alone = read(model(), {});
  EXPECT_NE(read(path("cached"), {}), alone);
  EXPECT_EQ(read(path("cached"), {"--without-cache"}), alone);
}

TEST_F(Words, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [&](std::vector<std::string> more, const std::string& problem,
                           const std::string& advice) {
    more.insert(more.begin(), {"score", path("book.txt")});
    expect_failure(embedded(more), problem, advice, 2);
  };
  refused({"--format", "csv"}, "--format csv", "--granularity word");
  refused({"--word-boundary", "raw"}, "--word-boundary", "--granularity word");
  refused({"--granularity", "word", "--format", "html"}, "--format html", "tokens");
  refused({"--granularity", "word", "--each-line", "--format", "json"}, "json", "ndjson");
}

}  // namespace
}  // namespace unroll::test
