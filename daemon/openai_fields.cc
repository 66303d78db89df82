#include "daemon/openai_fields.h"

#include <algorithm>
#include <cmath>

#include "daemon/openai_api.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::size_t kMostTexts = 2048;

json cleaned(const json& body) {
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

}  // namespace

ApiFields::ApiFields(std::string_view path, const json& body, std::initializer_list<std::string_view> known)
    : body_((Params(path, body, known), cleaned(body))), params_(path, body_, known) {}

std::vector<ApiInput> inputs_of(const Params& params, std::string_view field) {
  const auto* value = params.find(field);
  if (value == nullptr) params.refuse(field, "given");
  const auto one = [&](const json& item) -> ApiInput {
    if (item.is_string()) return {item.get<std::string>(), {}, false};
    if (!item.is_array()) params.refuse(field, "text, token ids, or a list of either");
    return {{}, ids_of(item, params, field), true};
  };
  std::vector<ApiInput> inputs;
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

std::span<const std::int32_t> read_ids(const ApiInput& input, const Vocabulary& vocabulary) {
  std::span<const std::int32_t> ids = input.ids;
  if (!ids.empty() && ids.front() == vocabulary.first_input()) ids = ids.subspan(1);
  return ids;
}

std::vector<std::string> texts_of(const std::vector<ApiInput>& inputs, const Vocabulary& vocabulary) {
  std::vector<std::string> texts;
  for (const auto& input : inputs) {
    if (input.is_ids && std::ranges::any_of(input.ids, [&](auto id) { return id >= vocabulary.size(); }))
      throw OtherTokens("a token is not in the model's vocabulary of " + std::to_string(vocabulary.size()) +
                        "; send text instead");
    texts.push_back(input.is_ids ? vocabulary.decode(read_ids(input, vocabulary)) : input.text);
  }
  return texts;
}

std::vector<Token> tokens_of(std::string_view text, const std::shared_ptr<const Vocabulary>& vocabulary) {
  StreamingTokenizer tokenizer(vocabulary);
  std::vector<Token> tokens;
  tokenizer.append(text, tokens);
  tokenizer.finish(tokens);
  return tokens;
}

}  // namespace unroll
