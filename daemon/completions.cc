#include "daemon/completions.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hex.h"
#include "base/six_digits.h"
#include "base/utf8.h"
#include "base/utf8_stream.h"
#include "daemon/openai_fields.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr int kMostTop = 20;
constexpr std::int64_t kMostWritten = 256;  // tokens; the text is read again for each
constexpr std::size_t kMostStops = 4;
constexpr std::size_t kPieceBytes = std::size_t{64} << 10;  // of a result, about

/// A token's bytes as text; if they are not UTF-8 by themselves, as OpenAI writes them: "bytes:\xe2\x80".
std::string shown(std::string_view bytes) {
  if (auto text = valid_utf8(bytes); text == bytes) return text;
  std::string text = "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    text += "\\x" + to_hex({&byte, 1});
  }
  return text;
}

/// A text, or a list of texts.
std::vector<std::string> stops_of(const Params& params) {
  const auto* const value = params.find("stop");
  if (value == nullptr) return {};
  const auto list = value->is_array() ? *value : json::array({*value});
  std::vector<std::string> stops;
  for (const auto& stop : list) {
    if (!stop.is_string() || stop.get_ref<const std::string&>().empty() || list.size() > kMostStops)
      params.refuse("stop",
                    "a text, or a list of up to " + std::to_string(kMostStops) + " texts, none empty");
    stops.push_back(stop.get<std::string>());
  }
  return stops;
}

/// What is read of one prompt and written after it, as an entry of "choices". The largest list, top_logprobs,
/// is returned while the prompt is read; for the others, a few bytes of each token are kept until its end.
class Choice {
 public:
  /// What a token takes that is kept.
  struct Token {
    std::int32_t id = 0;
    float logprob = 0;  ///< With the six digits that the plugin's output has.
  };

  /// `top`: how many probable tokens to list; -1: no logprobs.
  Choice(std::size_t index, bool echo, bool predicts_next, int top)
      : index_(index), echo_(echo), predicts_next_(predicts_next), top_(top) {}
  /// A token that is given, not predicted, stands before the prompt.
  void begin_after_given() { given_ = echo_; }

  std::string add_output(const json& block, const Vocabulary& vocabulary);
  void end_reading(std::uint64_t tokens);
  /// A token that was written; the first of `top`.
  void write(const json& top, const Vocabulary& vocabulary);
  void stop_at(const std::vector<std::string>& stops);
  void stop() { stopped_ = true; }
  std::string rest(const Vocabulary& vocabulary);

  bool stopped() const { return stopped_; }
  std::uint64_t prompt_tokens() const { return prompt_tokens_; }
  std::size_t written_tokens() const { return tops_.size(); }

 private:
  enum Part { kTops, kTokens, kLogprobs, kOffsets, kText, kDone };

  std::string open();
  void add_top(const json& top, const Vocabulary& vocabulary, std::string& piece);
  void add_item(std::size_t at, const Vocabulary& vocabulary, std::string& piece);
  std::string_view token_bytes(std::size_t at, const Vocabulary& vocabulary) const;
  std::size_t tokens() const { return (given_ ? 1 : 0) + read_.size() + tops_.size(); }

  const std::size_t index_;
  const bool echo_, predicts_next_;
  const int top_;
  bool given_ = false, opened_ = false, stopped_ = false;
  std::deque<Token> read_;                          ///< Of the prompt, if they are listed.
  std::string prompt_;                              ///< Its text, if it is echoed.
  std::optional<std::pair<Token, json>> expected_;  ///< The last so far: it may be the one after the prompt.
  std::vector<json> tops_;                          ///< Of the tokens that were written.
  std::string written_;                             ///< Their text, without what stopped it.
  std::uint64_t prompt_tokens_ = 0;
  Part part_ = kTops;   ///< What rest() gives next,
  std::size_t at_ = 0;  ///< and its item;
  std::size_t characters_ = 0, tops_shown_ = 0;
};

/// The beginning, up to the list that grows while the prompt is read.
std::string Choice::open() {
  opened_ = true;
  std::string piece =
      (index_ > 0 ? R"(,{"index":)" : R"({"index":)") + std::to_string(index_) + R"(,"logprobs":)";
  if (top_ < 0) return piece + "null";
  piece += top_ == 0 ? R"({"top_logprobs":null)" : R"({"top_logprobs":[)";
  if (given_ && top_ > 0) {
    piece += "null";
    ++tops_shown_;
  }
  return piece;
}

void Choice::add_top(const json& top, const Vocabulary& vocabulary, std::string& piece) {
  if (top_ <= 0) return;
  json shown_top = json::object();
  for (int rank = 0; rank < std::min(top_, static_cast<int>(top.size())); ++rank) {
    const auto& entry = top[static_cast<std::size_t>(rank)];
    shown_top.emplace(shown(vocabulary.bytes(entry.at(0).get<std::int32_t>())),
                      entry.at(1));  // the first stays
  }
  if (tops_shown_++ > 0) piece += ',';
  piece += dump_json(shown_top);
}

std::string Choice::add_output(const json& block, const Vocabulary& vocabulary) {
  if (!echo_) return {};
  std::string piece;
  if (!opened_) piece = open();
  const auto& ids = block.at("token");
  for (std::size_t i = 0; i <= ids.size(); ++i) {
    // If a token is predicted, the last one waits for the next output.
    if (expected_ && (i < ids.size() || !predicts_next_)) {
      prompt_ += vocabulary.bytes(expected_->first.id);
      if (top_ >= 0) read_.push_back(expected_->first);
      add_top(expected_->second, vocabulary, piece);
      expected_.reset();
    }
    if (i < ids.size())
      expected_.emplace(Token{ids[i].get<std::int32_t>(), block.at("logprob").at(i).get<float>()},
                        block.at("top").at(i));
  }
  return piece;
}

void Choice::end_reading(std::uint64_t tokens) {
  prompt_tokens_ = tokens - (predicts_next_ ? 1 : 0);
  expected_.reset();
}

void Choice::write(const json& top, const Vocabulary& vocabulary) {
  written_ += vocabulary.bytes(top.at(0).at(0).get<std::int32_t>());
  tops_.push_back(top);
}

void Choice::stop_at(const std::vector<std::string>& stops) {
  for (const auto& stop : stops) {
    const auto begin = written_.find(stop);
    if (begin == std::string::npos) continue;
    written_.resize(begin);
    stopped_ = true;
  }
}

std::string_view Choice::token_bytes(std::size_t at, const Vocabulary& vocabulary) const {
  if (given_ && at-- == 0) return {};
  return vocabulary.bytes(at < read_.size() ? read_[at].id
                                            : tops_[at - read_.size()].at(0).at(0).get<std::int32_t>());
}

/// To the list of part_.
void Choice::add_item(std::size_t at, const Vocabulary& vocabulary, std::string& piece) {
  if (at > 0) piece += ',';
  const auto bytes = token_bytes(at, vocabulary);
  if (part_ == kTokens) {
    piece += dump_json(shown(bytes));
  } else if (part_ == kOffsets) {
    piece += std::to_string(characters_);
    characters_ +=
        static_cast<std::size_t>(std::ranges::count_if(bytes, [](char c) { return !continues_utf8(c); }));
  } else if (given_ && at-- == 0) {
    piece += "null";
  } else {
    piece +=
        at < read_.size() ? six_digits(read_[at].logprob) : dump_json(tops_[at - read_.size()].at(0).at(1));
  }
}

/// One list after the other, in pieces; nothing after the last.
std::string Choice::rest(const Vocabulary& vocabulary) {
  std::string piece;
  if (part_ == kDone) return piece;
  if (part_ == kTops) {
    if (!opened_) piece = open();
    for (const auto& top : tops_) add_top(top, vocabulary, piece);
    if (top_ > 0) piece += ']';
    part_ = top_ < 0 ? kText : kTokens;
  }
  constexpr std::array kNames = {"top_logprobs", "tokens", "token_logprobs", "text_offset"};
  while (part_ < kText && piece.size() < kPieceBytes) {
    if (at_ == 0) piece.append(",\"").append(kNames.at(part_)).append("\":[");
    for (; at_ < tokens() && piece.size() < kPieceBytes; ++at_) add_item(at_, vocabulary, piece);
    if (at_ < tokens()) return piece;
    piece += part_ == kOffsets ? "]}" : "]";
    part_ = static_cast<Part>(part_ + 1);
    at_ = 0;
  }
  if (part_ < kText) return piece;
  piece += R"(,"text":)" + dump_json(valid_utf8(std::exchange(prompt_, {}) + written_)) +
           R"(,"finish_reason":)" + (stopped_ ? R"("stop"})" : R"("length"})");
  read_.clear();
  part_ = kDone;
  return piece;
}

class Completions final : public ApiRequest {
 public:
  explicit Completions(const json& body);

  PluginRequest plugin() const override { return {"logprobs", {{"top", std::max(top_, 1)}}}; }
  std::int64_t most_written() const override { return max_tokens_; }
  std::size_t memory() const override { return memory_; }

  std::string begin(const std::string& model, std::int64_t created) const override {
    return R"({"id":"cmpl-)" + std::to_string(created) + R"(","object":"text_completion","created":)" +
           std::to_string(created) + R"(,"model":)" + dump_json(model) + R"(,"choices":[)";
  }
  std::string add_output(std::size_t text, const std::string& output) override {
    return echo_ ? choices_.at(text).add_output(json::parse(output), *vocabulary_) : "";
  }
  std::string end_text(std::size_t text, std::uint64_t tokens) override {
    choices_.at(text).end_reading(tokens);
    return {};
  }
  std::optional<std::string> go_on(std::size_t text, const std::string& output) override;
  std::string rest(std::size_t text) override { return choices_.at(text).rest(*vocabulary_); }
  std::string end() const override;

 private:
  std::vector<std::string> make_texts() override;

  std::vector<ApiInput> prompts_;
  bool echo_ = false;
  int top_ = -1;  ///< -1: no logprobs.
  std::int64_t max_tokens_ = 16;
  std::vector<std::string> stops_;
  std::vector<Choice> choices_;  ///< Of each prompt.
  std::size_t memory_ = 0;
};

Completions::Completions(const json& body) {
  const ApiFields fields(
      kCompletionsPath, body,
      {"model", "prompt", "echo", "logprobs", "max_tokens", "temperature", "top_p", "n", "best_of", "seed",
       "stop", "stream", "user", "suffix", "presence_penalty", "frequency_penalty", "logit_bias"});
  const Params& params = fields.params();
  model_ = params.optional_string("model").value_or("");
  prompts_ = inputs_of(params, "prompt");
  echo_ = params.optional_bool("echo").value_or(false);
  top_ = static_cast<int>(params.optional_integer("logprobs", 0, kMostTop).value_or(-1));
  max_tokens_ = params.optional_integer("max_tokens", 0, kMostWritten).value_or(16);
  stops_ = stops_of(params);
  for (const auto* one : {"n", "best_of"}) params.optional_integer(one, 1, 1);
  if (params.optional_bool("stream").value_or(false)) params.refuse("stream", "false");
  if (!echo_ && max_tokens_ == 0)
    params.refuse("echo", "true if max_tokens is 0, as there is nothing else to return");
}

std::vector<std::string> Completions::make_texts() {
  for (const auto& prompt : prompts_) {
    const auto index = choices_.size();
    auto& choice = choices_.emplace_back(index, echo_, max_tokens_ > 0, top_);
    if (read_ids(prompt, *vocabulary_).size() < prompt.ids.size()) choice.begin_after_given();
  }
  auto texts = texts_of(prompts_, *vocabulary_);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (prompts_[i].is_ids &&
        !std::ranges::equal(tokens_of(texts[i], vocabulary_), read_ids(prompts_[i], *vocabulary_), {},
                            &unroll::Token::id)) {
      throw OtherTokens("prompt " + std::to_string(i) +
                        ": its ids are not those that the model's tokenizer gives for their text; send the "
                        "text, or take the ids from /tokenize");
    }
    // A token has a byte at least; the text is kept, too.
    if (echo_) memory_ += texts[i].size() * (1 + (top_ >= 0 ? sizeof(Choice::Token) : 0));
  }
  prompts_.clear();
  return texts;
}

/// The most probable token.
std::optional<std::string> Completions::go_on(std::size_t text, const std::string& output) {
  auto& choice = choices_.at(text);
  const auto block = json::parse(output);
  const auto& top = block.at("top").back();
  const auto bytes = vocabulary_->bytes(top.at(0).at(0).get<std::int32_t>());
  if (bytes.empty()) {  // it ends the text, or is none of a text
    choice.stop();
    return std::nullopt;
  }
  choice.write(top, *vocabulary_);
  choice.stop_at(stops_);
  if (choice.stopped() || choice.written_tokens() == static_cast<std::size_t>(max_tokens_))
    return std::nullopt;
  return std::string(bytes);
}

std::string Completions::end() const {
  std::uint64_t prompt = 0, completion = 0;
  for (const auto& choice : choices_) {
    prompt += choice.prompt_tokens();
    completion += choice.written_tokens();
  }
  return R"(],"usage":)" +
         dump_json({{"prompt_tokens", prompt},
                    {"completion_tokens", completion},
                    {"total_tokens", prompt + completion}}) +
         "}\n";
}

}  // namespace

std::unique_ptr<ApiRequest> make_completions(const json& body) {
  return std::make_unique<Completions>(body);
}

}  // namespace unroll
