// The fields of requests of openai_api.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/params.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// One that is null counts as missing, and 5.0 is an integer, too.
class ApiFields {
 public:
  /// Throws Error(kInvalidParams) if a field is not `known`.
  ApiFields(std::string_view path, const nlohmann::json& body, std::initializer_list<std::string_view> known);
  const Params& params() const { return params_; }

 private:
  const nlohmann::json body_;
  const Params params_;
};

/// A text, or the ids of its tokens.
struct ApiInput {
  std::string text;
  std::vector<std::int32_t> ids;
  bool is_ids = false;
};

/// A text, a list of texts, ids, or a list of ids. Throws Error(kInvalidParams), which names the field.
std::vector<ApiInput> inputs_of(const Params& params, std::string_view field);
/// The ids without the one from which a document's first token is predicted, which is no part of the text.
std::span<const std::int32_t> read_ids(const ApiInput& input, const Vocabulary& vocabulary);
/// Throws OtherTokens if an id is not in the vocabulary.
std::vector<std::string> texts_of(const std::vector<ApiInput>& inputs, const Vocabulary& vocabulary);
/// Of a whole document.
std::vector<Token> tokens_of(std::string_view text, const std::shared_ptr<const Vocabulary>& vocabulary);

}  // namespace unroll
