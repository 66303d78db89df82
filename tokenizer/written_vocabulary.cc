#include "tokenizer/written_vocabulary.h"

#include <stdexcept>

#include "base/strict_json.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/space_mark.h"

namespace unroll {
namespace {

constexpr std::int64_t kMaxTokens = 1 << 21;  // ten times what vocabularies have

}  // namespace

std::string& WrittenVocabulary::bytes(std::int64_t id) {
  auto& tokens = description_.tokens;
  if (id < 0 || id >= kMaxTokens)
    throw std::runtime_error("has a token of the number " + std::to_string(id) + "; allowed are 0 to " +
                             std::to_string(kMaxTokens - 1));
  if (tokens.size() <= static_cast<std::size_t>(id)) tokens.resize(static_cast<std::size_t>(id) + 1);
  return tokens[static_cast<std::size_t>(id)];
}

void WrittenVocabulary::add_token(std::int64_t id, std::string_view written) {
  auto& token = bytes(id);
  if (!token.empty()) throw std::runtime_error("has two tokens of the number " + std::to_string(id));
  token = writing_ == Writing::kSpaceMarks ? from_space_marks(written)
                                           : from_byte_alphabet(written).value_or(std::string(written));
  ids_[std::string(written)] = static_cast<std::int32_t>(id);
}

void WrittenVocabulary::add_control(std::int64_t id, std::string_view name) {
  bytes(id).clear();
  control_[std::string(name)] = static_cast<std::int32_t>(id);
}

void WrittenVocabulary::add_plain(std::int64_t id, std::string_view text) {
  bytes(id) = text;
}

std::int32_t WrittenVocabulary::id(std::string_view written) const {
  const auto found = ids_.find(written);
  return found == ids_.end() ? -1 : found->second;
}

void WrittenVocabulary::add_merge(std::string_view left, std::string_view right) {
  const std::string both = std::string(left) += right;
  const Merge merge{id(left), id(right), id(both)};
  for (const auto& [token, name] :
       {std::pair(merge.left, left), {merge.right, right}, {merge.result, both}}) {
    if (token < 0)
      throw std::runtime_error("its merge " + std::to_string(description_.merges.size()) +
                               " names the token " + shown(name) + ", which is not in the vocabulary");
  }
  description_.merges.push_back(merge);
}

void WrittenVocabulary::add_merge(std::string_view both) {
  const auto space = both.find(' ');
  if (space == std::string_view::npos || both.find(' ', space + 1) != std::string_view::npos)
    throw std::runtime_error("its merge " + std::to_string(description_.merges.size()) +
                             " is not two tokens with a space between them");
  add_merge(both.substr(0, space), both.substr(space + 1));
}

}  // namespace unroll
