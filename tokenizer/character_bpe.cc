#include "tokenizer/character_bpe.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/space_mark.h"

namespace unroll {
namespace {

/// Gives the byte pieces their bytes, and returns the symbols.
Alphabet alphabet_of(const WrittenVocabulary& vocabulary, std::vector<std::string>& tokens) {
  Alphabet alphabet;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    if (token.empty() || utf8_character_length(token) != token.size()) continue;
    // Not a token that was added to the vocabulary, nor a space that is not written as the mark.
    if (vocabulary.id(token == " " ? kSpaceMark : token) != static_cast<std::int32_t>(id)) continue;
    alphabet.characters[next_utf8(token).code] = static_cast<std::int32_t>(id);
  }
  if (!alphabet.characters.contains(U' ')) throw std::runtime_error("lacks the token U+2581, a space");
  for (std::size_t byte = 0; byte < alphabet.bytes.size(); ++byte) {
    const auto name = byte_piece(static_cast<std::uint8_t>(byte));
    const auto id = alphabet.bytes[byte] = vocabulary.id(name);
    if (id < 0) throw std::runtime_error("lacks the token " + name + ", which a byte needs");
    tokens[static_cast<std::size_t>(id)].assign(1, static_cast<char>(byte));
  }
  return alphabet;
}

char32_t last_character(std::string_view text) {
  auto begin = text.size() - 1;
  while (begin > 0 && continues_utf8(text[begin])) --begin;
  return next_utf8(text.substr(begin)).code;
}

std::shared_ptr<const CharacterPairs> joined_pairs(const BpeDescription& description,
                                                   bool spaces_begin_words) {
  auto pairs = std::make_shared<CharacterPairs>();
  for (const auto& merge : description.merges) {
    const std::string_view left = description.tokens[static_cast<std::size_t>(merge.left)];
    const std::string_view right = description.tokens[static_cast<std::size_t>(merge.right)];
    if (!(spaces_begin_words && right.starts_with(' ')))
      pairs->add(last_character(left), next_utf8(right).code);
  }
  return pairs;
}

/// Merges are of characters: control tokens have none, and byte pieces may be a part of one.
void check_merges(const BpeDescription& description) {
  std::vector<bool> is_byte(description.tokens.size());
  for (const auto id : description.alphabet->bytes) is_byte[static_cast<std::size_t>(id)] = true;
  for (std::size_t i = 0; i < description.merges.size(); ++i) {
    const auto& merge = description.merges[i];
    for (const auto id : {merge.left, merge.right, merge.result}) {
      const auto token = static_cast<std::size_t>(id);
      if (description.tokens[token].empty() || is_byte[token])
        throw std::runtime_error("its merge " + std::to_string(i) + " is one of control tokens or bytes");
    }
  }
}

}  // namespace

BpeDescription take_character_bpe(WrittenVocabulary& vocabulary, const Spaces& spaces) {
  auto description = vocabulary.take();
  description.alphabet = alphabet_of(vocabulary, description.tokens);
  check_merges(description);
  description.cuts.push_back(
      {.kind = Cut::kUnjoined, .joined = joined_pairs(description, spaces.begin_words)});
  if (spaces.before_text) description.prefix = description.alphabet->characters.at(U' ');
  description.prefix_unless_there = spaces.unless_there;
  return description;
}

}  // namespace unroll
