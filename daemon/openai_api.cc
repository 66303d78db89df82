#include "daemon/openai_api.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <span>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/strict_json.h"
#include "base/utf8.h"
#include "daemon/params.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::string_view kCompletions = "/v1/completions", kEmbeddings = "/v1/embeddings",
                           kTokenize = "/tokenize";
constexpr std::size_t kMostTexts = 2048;
constexpr int kMostTop = 20;
constexpr std::int64_t kMostWritten = 256;  // tokens; the text is read again for each
constexpr std::size_t kMostStops = 4;

/// A request's fields. One that is null counts as missing, and 5.0 is an integer, too.
class Fields {
 public:
  Fields(std::string_view path, const json& body, std::initializer_list<std::string_view> known)
      : body_((Params(path, body, known), cleaned(body))), params_(path, body_, known) {}
  const Params& params() const { return params_; }

 private:
  static json cleaned(const json& body) {
    json fields = json::object();
    for (const auto& [name, value] : body.items()) {
      const double number = value.is_number_float() ? value.get<double>() : 0.5;
      if (number == std::floor(number) && std::abs(number) < 1e15) {
        fields[name] = static_cast<std::int64_t>(number);
      } else if (!value.is_null()) {
        fields[name] = value;
      }
    }
    return fields;
  }
  const json body_;
  const Params params_;
};

/// A text, or the ids of its tokens.
struct Input {
  std::string text;
  std::vector<std::int32_t> ids;
  bool is_ids = false;
};

std::vector<std::int32_t> ids_of(const json& list, const Params& params, std::string_view field) {
  std::vector<std::int32_t> ids;
  for (const auto& item : list) {
    const double id = item.is_number() ? item.get<double>() : -1;  // 5.0 is an integer, too
    if (id < 0 || id > INT32_MAX || id != std::floor(id))
      params.refuse(field, "text, token ids, or a list of either");
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

/// A text, a list of texts, ids, or a list of ids.
std::vector<Input> inputs_of(const Params& params, std::string_view field) {
  const auto* value = params.find(field);
  if (value == nullptr) params.refuse(field, "given");
  const auto one = [&](const json& item) -> Input {
    if (item.is_string()) return {item.get<std::string>(), {}, false};
    if (!item.is_array()) params.refuse(field, "text, token ids, or a list of either");
    return {{}, ids_of(item, params, field), true};
  };
  std::vector<Input> inputs;
  if (value->is_array() && !value->empty() && !value->front().is_number()) {
    for (const auto& item : *value) inputs.push_back(one(item));
  } else {
    inputs.push_back(one(*value));
  }
  if (inputs.size() > kMostTexts)
    params.refuse(field,
                  "a list of at most " + std::to_string(kMostTexts) + "; send the others in another request");
  return inputs;
}

/// The ids without the one from which a document's first token is predicted, which is no part of the text.
std::span<const std::int32_t> read_ids(const Input& input, const Vocabulary& vocabulary) {
  std::span<const std::int32_t> ids = input.ids;
  if (!ids.empty() && ids.front() == vocabulary.first_input()) ids = ids.subspan(1);
  return ids;
}

std::vector<std::string> texts_of(const std::vector<Input>& inputs, const Vocabulary& vocabulary) {
  std::vector<std::string> texts;
  for (const auto& input : inputs) {
    if (input.is_ids && std::ranges::any_of(input.ids, [&](auto id) { return id >= vocabulary.size(); }))
      throw OtherTokens("a token is not in the model's vocabulary of " + std::to_string(vocabulary.size()) +
                        "; send text instead");
    texts.push_back(input.is_ids ? vocabulary.decode(read_ids(input, vocabulary)) : input.text);
  }
  return texts;
}

/// With U+FFFD for each byte that is not UTF-8.
std::string valid_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto length = utf8_character_length(bytes);
    text += length > 0 ? bytes.substr(0, length) : kReplacement;
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

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

json usage_of(std::uint64_t prompt, std::uint64_t completion) {
  return {
      {"prompt_tokens", prompt}, {"completion_tokens", completion}, {"total_tokens", prompt + completion}};
}

class Completions final : public ApiRequest {
 public:
  explicit Completions(const json& body) {
    const Fields fields(
        kCompletions, body,
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
    written_.resize(prompts_.size());
  }

  PluginRequest plugin() const override { return {"logprobs", {{"top", std::max(top_, 1)}}}; }
  bool predicts_next() const override { return max_tokens_ > 0; }
  std::vector<std::string> texts(const Vocabulary& vocabulary) const override {
    return texts_of(prompts_, vocabulary);
  }

  /// The most probable token.
  std::optional<std::string> go_on(std::size_t text, const json& output,
                                   const Vocabulary& vocabulary) override {
    auto& written = written_.at(text);
    const auto& top = output.at("top").back();
    const auto bytes = vocabulary.bytes(top.at(0).at(0).get<std::int32_t>());
    written.stopped = bytes.empty();  // it ends the text, or is none of a text
    if (written.stopped) return std::nullopt;
    written.tops.push_back(top);
    written.text += bytes;
    for (const auto& stop : stops_) {
      const auto begin = written.text.find(stop);
      if (begin == std::string::npos) continue;
      written.text.resize(begin);
      written.stopped = true;
    }
    if (written.stopped || written.tops.size() == static_cast<std::size_t>(max_tokens_)) return std::nullopt;
    return std::string(bytes);
  }

  json result(const std::vector<Outputs>& outputs, const Vocabulary& vocabulary, const std::string& model,
              std::int64_t created) const override {
    json choices = json::array();
    std::uint64_t prompt_tokens = 0, predicted = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      choices.push_back(choice(i, outputs[i], vocabulary));
      prompt_tokens += outputs[i].tokens - (predicts_next() ? 1 : 0);
      predicted += written_[i].tops.size();
    }
    return {{"id", "cmpl-" + std::to_string(created)},
            {"object", "text_completion"},
            {"created", created},
            {"model", model},
            {"choices", std::move(choices)},
            {"usage", usage_of(prompt_tokens, predicted)}};
  }

 private:
  /// The lists of OpenAI's "logprobs", and the text that they add up to.
  struct Listed {
    json tokens = json::array(), token_logprobs = json::array(), top_logprobs = json::array(),
         text_offset = json::array();
    std::string text;
    std::size_t characters = 0;

    void add(std::string_view bytes, json logprob, json top) {
      tokens.push_back(shown(bytes));
      token_logprobs.push_back(std::move(logprob));
      top_logprobs.push_back(std::move(top));
      text_offset.push_back(characters);
      text += bytes;
      characters +=
          static_cast<std::size_t>(std::ranges::count_if(bytes, [](char c) { return !continues_utf8(c); }));
    }
  };

  /// What was written after a prompt.
  struct Written {
    std::vector<json> tops;  ///< Of each token; the first is the token.
    std::string text;        ///< Without what stopped it.
    bool stopped = false;
  };

  /// A text, or a list of texts.
  static std::vector<std::string> stops_of(const Params& params) {
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

  json choice(std::size_t index, const Outputs& outputs, const Vocabulary& vocabulary) const {
    const auto& prompt = prompts_[index];
    const auto ids = read_ids(prompt, vocabulary);
    Listed listed;
    // The token that a document begins after is given, not predicted.
    if (echo_ && ids.size() < prompt.ids.size()) listed.add("", nullptr, nullptr);
    std::size_t position = 0;
    const auto read = outputs.tokens - (predicts_next() ? 1 : 0);
    const auto& written = written_[index];
    if (prompt.is_ids && read != ids.size()) refuse_ids(index);
    for (const auto& block : outputs.outputs) {
      for (std::size_t i = 0; i < block.at("token").size(); ++i, ++position) {
        const auto id = block["token"][i].get<std::int32_t>();
        if (position == read) break;  // the one that is expected next
        if (prompt.is_ids && id != ids[position]) refuse_ids(index);
        if (echo_) listed.add(vocabulary.bytes(id), block["logprob"][i], top_of(block["top"][i], vocabulary));
      }
    }
    const auto text = listed.text + written.text;
    for (const auto& top : written.tops)
      listed.add(vocabulary.bytes(top.at(0).at(0).get<std::int32_t>()), top[0].at(1),
                 top_of(top, vocabulary));
    json logprobs = nullptr;
    if (top_ >= 0) {
      logprobs = {{"tokens", std::move(listed.tokens)},
                  {"token_logprobs", std::move(listed.token_logprobs)},
                  {"top_logprobs", top_ > 0 ? std::move(listed.top_logprobs) : json()},
                  {"text_offset", std::move(listed.text_offset)}};
    }
    return {{"index", index},
            {"text", valid_utf8(text)},
            {"finish_reason", written.stopped ? "stop" : "length"},
            {"logprobs", std::move(logprobs)}};
  }

  json top_of(const json& top, const Vocabulary& vocabulary) const {
    json shown_top = json::object();
    for (int rank = 0; rank < std::min(top_, static_cast<int>(top.size())); ++rank) {
      const auto& entry = top[static_cast<std::size_t>(rank)];
      shown_top.emplace(shown(vocabulary.bytes(entry.at(0).get<std::int32_t>())),
                        entry.at(1));  // the first stays
    }
    return shown_top;
  }

  [[noreturn]] static void refuse_ids(std::size_t index) {
    throw OtherTokens("prompt " + std::to_string(index) +
                      ": its ids are not those that the model's tokenizer gives for their "
                      "text; send the text, or take the ids from /tokenize");
  }

  std::vector<Input> prompts_;
  bool echo_ = false;
  int top_ = -1;  ///< -1: no logprobs.
  std::int64_t max_tokens_ = 16;
  std::vector<std::string> stops_;
  std::vector<Written> written_;  ///< After each prompt.
};

class Embeddings final : public ApiRequest {
 public:
  explicit Embeddings(const json& body) {
    const Fields fields(kEmbeddings, body, {"model", "input", "encoding_format", "user", "dimensions"});
    const Params& params = fields.params();
    model_ = params.optional_string("model").value_or("");
    inputs_ = inputs_of(params, "input");
    const auto format = params.optional_string("encoding_format").value_or("float");
    if (format != "float" && format != "base64") params.refuse("encoding_format", "\"float\" or \"base64\"");
    base64_ = format == "base64";
    if (params.has("dimensions"))
      params.refuse("dimensions", "left out, as a model's vectors have one length");
  }

  PluginRequest plugin() const override { return {"embed", json::object()}; }
  std::vector<std::string> texts(const Vocabulary& vocabulary) const override {
    return texts_of(inputs_, vocabulary);
  }

  json result(const std::vector<Outputs>& outputs, const Vocabulary&, const std::string& model,
              std::int64_t) const override {
    json data = json::array();
    std::uint64_t tokens = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].outputs.empty()) throw Error(ErrorCode::kPluginFailed, "plugin embed gave no vector");
      const auto& document = outputs[i].outputs.back();
      tokens += outputs[i].tokens;
      data.push_back({{"object", "embedding"},
                      {"index", i},
                      {"embedding", base64_ ? json(encoded(document.at("vector"))) : document.at("vector")}});
    }
    return {{"object", "list"},
            {"data", std::move(data)},
            {"model", model},
            {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  }

 private:
  /// Little-endian 32-bit floats.
  static std::string encoded(const json& vector) {
    static_assert(std::endian::native == std::endian::little);
    std::string bytes;
    for (const auto& number : vector) {
      const auto value = number.get<float>();
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return base64_encode(bytes);
  }

  std::vector<Input> inputs_;
  bool base64_ = false;
};

/// Reads no document.
class Tokenize final : public ApiRequest {
 public:
  explicit Tokenize(const json& body) {
    const Fields fields(kTokenize, body, {"model", "prompt", "content", "add_special_tokens"});
    const Params& params = fields.params();
    model_ = params.optional_string("model").value_or("");
    const auto content = params.optional_string("content"), prompt = params.optional_string("prompt");
    if (!content && !prompt) params.refuse("prompt", "given");
    text_ = content ? *content : *prompt;
  }
  PluginRequest plugin() const override { return {}; }
  std::vector<std::string> texts(const Vocabulary&) const override { return {}; }
  json result(const std::vector<Outputs>&, const Vocabulary& vocabulary, const std::string&,
              std::int64_t) const override {
    StreamingTokenizer tokenizer({std::shared_ptr<const Vocabulary>(), &vocabulary});  // borrowed
    std::vector<Token> tokens;
    tokenizer.append(text_, tokens);
    tokenizer.finish(tokens);
    json ids = json::array();
    for (const auto& token : tokens) ids.push_back(token.id);
    const auto count = ids.size();
    return {{"tokens", std::move(ids)}, {"count", count}};
  }

 private:
  std::string text_;
};

}  // namespace

bool is_api_path(std::string_view path) {
  constexpr std::array kPaths = {kCompletions, kEmbeddings, kTokenize};
  return std::ranges::find(kPaths, path) != kPaths.end();
}

std::unique_ptr<ApiRequest> parse_api_request(std::string_view path, std::string_view text) {
  json body;
  try {
    body = parse_strict_json(text, {.depth = 4});
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kInvalidRequest, std::string("the body is not JSON: ") + error.what());
  }
  if (!body.is_object()) throw Error(ErrorCode::kInvalidRequest, "the body is not a JSON object");
  if (path == kCompletions) return std::make_unique<Completions>(body);
  if (path == kEmbeddings) return std::make_unique<Embeddings>(body);
  return std::make_unique<Tokenize>(body);
}

}  // namespace unroll
