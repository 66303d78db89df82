// The requests and results of the paths that follow OpenAI's API: /v1/completions, /v1/embeddings,
// /v1/models; and /tokenize, as other servers have it. Translates between their JSON and documents, without
// I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// Ids of tokens that do not fit the model: HTTP's 409.
struct OtherTokens : Error {
  explicit OtherTokens(const std::string& text) : Error(ErrorCode::kInvalidParams, text) {}
};

/// A request that reads texts as documents. Thread-safe, unless said otherwise.
class ApiRequest {
 public:
  /// What reading one text gave, the first time.
  struct Outputs {
    std::vector<nlohmann::json> outputs;  ///< In order.
    std::uint64_t tokens = 0;             ///< With the one of predicts_next().
  };

  virtual ~ApiRequest() = default;
  const std::string& model() const { return model_; }  ///< Empty: the first.
  virtual PluginRequest plugin() const = 0;
  virtual bool predicts_next() const { return false; }  ///< As in DocumentRequest.
  /// The documents; none, if result() needs only the vocabulary. Throws OtherTokens.
  virtual std::vector<std::string> texts(const Vocabulary& vocabulary) const = 0;
  /// If predicts_next(), after each reading of a text: takes the token that the last output predicts. Returns
  /// what to append to the text, to read it again; nullopt: that was the last token. Not for the same text
  /// from two threads at once.
  virtual std::optional<std::string> go_on(std::size_t /*text*/, const nlohmann::json& /*output*/,
                                           const Vocabulary& /*vocabulary*/) {
    return std::nullopt;
  }
  /// `outputs`: of each text's document. `model`: its name. `created`: seconds since 1970. Throws Error.
  virtual nlohmann::json result(const std::vector<Outputs>& outputs, const Vocabulary& vocabulary,
                                const std::string& model, std::int64_t created) const = 0;

 protected:
  std::string model_;
};

/// Whether `path` takes a request with JSON as its body, which parse_api_request() knows.
bool is_api_path(std::string_view path);
/// Throws Error(kInvalidRequest, kInvalidParams), which names the field.
std::unique_ptr<ApiRequest> parse_api_request(std::string_view path, std::string_view body);

}  // namespace unroll
