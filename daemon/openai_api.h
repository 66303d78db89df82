// The requests and results of the paths that follow OpenAI's API: /v1/completions, /v1/embeddings,
// /v1/models; and /tokenize, as other servers have it. Translates between their JSON and documents, without
// I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/document.h"
#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// Ids of tokens that do not fit the model: HTTP's 409.
struct OtherTokens : Error {
  explicit OtherTokens(const std::string& text) : Error(ErrorCode::kInvalidParams, text) {}
};

/// A limit that the request exceeds by itself, whatever else its user does: HTTP's 413.
struct TooLarge : LimitError {
  using LimitError::LimitError;
};

/// A request that reads texts as documents, and its result: JSON in pieces, between which white space may
/// stand. They are begin(), then for each text in order what add_output(), end_text() and rest() return, then
/// end(). Any thread; different texts may be in use at the same time.
class ApiRequest {
 public:
  virtual ~ApiRequest() = default;
  const std::string& model() const { return model_; }  ///< Empty: the first.
  virtual PluginRequest plugin() const = 0;
  virtual std::int64_t most_written() const { return 0; }  ///< Tokens that are written after each text.
  /// The documents; none, if begin() needs only the vocabulary. Call it once, first. Throws OtherTokens.
  std::vector<std::string> texts(std::shared_ptr<const Vocabulary> vocabulary) {
    vocabulary_ = std::move(vocabulary);
    return make_texts();
  }
  /// The most that the texts' results take until rest() has returned them, in bytes.
  virtual std::size_t memory() const { return 0; }

  /// `model`: its name. `created`: seconds since 1970.
  virtual std::string begin(const std::string& model, std::int64_t created) const = 0;
  /// For each output of the text's first reading, in order: JSON of plugin().
  virtual std::string add_output(std::size_t /*text*/, const std::string& /*output*/) { return {}; }
  /// After them. `tokens`: with the one that is predicted. Throws Error.
  virtual std::string end_text(std::size_t /*text*/, std::uint64_t /*tokens*/) { return {}; }
  /// If tokens are written, after each reading of a text: takes the token that its last output predicts.
  /// Returns what to append to the text, to read it again; nullopt: that was the last token.
  virtual std::optional<std::string> go_on(std::size_t /*text*/, const std::string& /*output*/) {
    return std::nullopt;
  }
  /// After the text's last reading, until it returns nothing.
  virtual std::string rest(std::size_t /*text*/) { return {}; }
  virtual std::string end() const = 0;

 protected:
  virtual std::vector<std::string> make_texts() = 0;

  std::string model_;
  std::shared_ptr<const Vocabulary> vocabulary_;
};

/// Whether `path` takes a request with JSON as its body, which parse_api_request() knows.
bool is_api_path(std::string_view path);
/// Throws Error(kInvalidRequest, kInvalidParams), which names the field.
std::unique_ptr<ApiRequest> parse_api_request(std::string_view path, std::string_view body);

}  // namespace unroll
