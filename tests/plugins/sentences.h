// What built-in plugins make of a text's sentences, for tests.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {

struct ReadSentences {
  std::vector<std::string> sentences;
  json document;
};

/// `language`: empty: detected.
inline ReadSentences read_sentences(const std::string& text, const std::string& language,
                                    bool resume = false) {
  json options = {{"granularity", "sentence"}};
  if (!language.empty()) options["language"] = language;
  std::vector<MadeToken> tokens;
  for (const char c : text) tokens.push_back({std::string(1, c), -1});
  ReadSentences result;
  for (auto& output : read("score", options.dump(), made_document(tokens, 40), resume)) {
    if (output["type"] == "document") {
      result.document = output;
      continue;
    }
    const auto start = output["start"].get<std::size_t>();
    result.sentences.push_back(text.substr(start, output["end"].get<std::size_t>() - start));
  }
  return result;
}

/// Each is a sentence: joined by `between`, the text is divided there and nowhere else.
inline void expect_sentences(const std::string& language, const std::vector<std::string>& sentences,
                             const std::string& between = " ") {
  std::string text;
  for (const auto& sentence : sentences) text += (text.empty() ? "" : between) + sentence;
  EXPECT_EQ(read_sentences(text, language).sentences, sentences);
}

/// The sentences of a summary of `words` words; each token is a word, or white space and a word.
inline std::vector<std::string> summary_of(const std::string& text, std::size_t words) {
  std::vector<MadeToken> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at + 1), text.size());
    tokens.push_back({text.substr(at, end - at), -1});
    at = end;
  }
  std::vector<std::string> sentences;
  const auto outputs = read("summarize", json({{"words", words}}).dump(), made_document(tokens, 7));
  for (const auto& sentence : outputs.at(0)["sentences"]) sentences.push_back(sentence["text"]);
  return sentences;
}

}  // namespace unroll::testing
