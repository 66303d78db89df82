#include "daemon/openai_api.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "base/strict_json.h"
#include "daemon/completions.h"
#include "daemon/openai_fields.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::string_view kEmbeddings = "/v1/embeddings", kTokenize = "/tokenize";

class Embeddings final : public ApiRequest {
 public:
  explicit Embeddings(const json& body) {
    const ApiFields fields(kEmbeddings, body, {"model", "input", "encoding_format", "user", "dimensions"});
    const Params& params = fields.params();
    model_ = params.optional_string("model").value_or("");
    inputs_ = inputs_of(params, "input");
    const auto format = params.optional_string("encoding_format").value_or("float");
    if (format != "float" && format != "base64") params.refuse("encoding_format", "\"float\" or \"base64\"");
    base64_ = format == "base64";
    if (params.has("dimensions"))
      params.refuse("dimensions", "left out, as a model's vectors have one length");
    last_.resize(inputs_.size());
  }

  PluginRequest plugin() const override { return {"embed", json::object()}; }

  std::string begin(const std::string& model, std::int64_t) const override {
    return R"({"object":"list","model":)" + dump_json(model) + R"(,"data":[)";
  }

  /// The document's vector is in its last output.
  std::string add_output(std::size_t text, const std::string& output) override {
    last_[text] = output;
    return {};
  }

  std::string end_text(std::size_t text, std::uint64_t tokens) override {
    if (last_[text].empty()) throw Error(ErrorCode::kPluginFailed, "plugin embed gave no vector");
    tokens_ += tokens;
    const auto document = json::parse(std::exchange(last_[text], {}));
    const auto& vector = document.at("vector");
    return (text > 0 ? "," : "") + dump_json({{"object", "embedding"},
                                              {"index", text},
                                              {"embedding", base64_ ? json(encoded(vector)) : vector}});
  }

  std::string end() const override {
    const std::uint64_t tokens = tokens_;
    return R"(],"usage":)" + dump_json({{"prompt_tokens", tokens}, {"total_tokens", tokens}}) + "}\n";
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

  std::vector<std::string> make_texts() override { return texts_of(inputs_, *vocabulary_); }

  std::vector<ApiInput> inputs_;
  bool base64_ = false;
  std::vector<std::string> last_;  ///< Each text's last output.
  std::atomic<std::uint64_t> tokens_ = 0;
};

/// Reads no document.
class Tokenize final : public ApiRequest {
 public:
  explicit Tokenize(const json& body) {
    const ApiFields fields(kTokenize, body, {"model", "prompt", "content", "add_special_tokens"});
    const Params& params = fields.params();
    model_ = params.optional_string("model").value_or("");
    const auto content = params.optional_string("content"), prompt = params.optional_string("prompt");
    if (!content && !prompt) params.refuse("prompt", "given");
    text_ = content ? *content : *prompt;
  }
  PluginRequest plugin() const override { return {}; }
  std::string begin(const std::string&, std::int64_t) const override {
    json ids = json::array();
    for (const auto& token : tokens_of(text_, vocabulary_)) ids.push_back(token.id);
    const auto count = ids.size();
    return dump_json({{"tokens", std::move(ids)}, {"count", count}}) + "\n";
  }
  std::string end() const override { return {}; }

 private:
  std::vector<std::string> make_texts() override { return {}; }

  std::string text_;
};

}  // namespace

bool is_api_path(std::string_view path) {
  constexpr std::array kPaths = {kCompletionsPath, kEmbeddings, kTokenize};
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
  if (path == kCompletionsPath) return make_completions(body);
  if (path == kEmbeddings) return std::make_unique<Embeddings>(body);
  return std::make_unique<Tokenize>(body);
}

}  // namespace unroll
