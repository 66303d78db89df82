#include "tokenizer/gguf_vocabulary.h"

#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/gguf_file.h"
#include "base/strict_json.h"
#include "tokenizer/sentencepiece_vocabulary.h"
#include "tokenizer/space_mark.h"
#include "tokenizer/written_vocabulary.h"

namespace unroll {
namespace {

/// tokenizer.ggml.token_type; SentencePiece uses the same numbers.
enum TokenType : std::int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4 };

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The content of a family's tokenizer.json that GGUF lacks, by tokenizer.ggml.pre.
struct Family {
  std::string_view pre;
  std::string_view pattern;
  bool digits;  ///< Each digit is a word of its own, before the pattern is applied.
  bool nfc;
  bool whole_words;
};
constexpr std::array kFamilies{
    Family{"gpt-2", kGpt2Pattern, false, false, false},
    Family{"smollm", kGpt2Pattern, true, false, false},
    Family{"llama-bpe", kLlama3Pattern, false, false, true},
    Family{"qwen2", kQwen2Pattern, false, true, false},
};

const Family& family(const GgufFile& file) {
  const auto pre = file.string("tokenizer.ggml.pre").value_or("");
  std::string known;
  for (const auto& family : kFamilies) {
    if (family.pre == pre) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.pre);
  }
  file.fail("its tokenizer.ggml.pre " + shown(pre) + " is not supported; supported are " + known +
            ": use the model's folder with tokenizer.json instead");
}

std::vector<std::string_view> strings(const GgufFile& file, const char* key) {
  auto values = file.strings(key);
  if (!values) file.fail("lacks the metadata key " + std::string(key) + "; export it again");
  return *std::move(values);
}

/// The token number of a key; nothing if there is no such token.
std::optional<std::int32_t> token(const GgufFile& file, const char* key, std::size_t tokens) {
  const auto id = file.integer(key);
  if (!id || *id < 0 || static_cast<std::uint64_t>(*id) >= tokens) return std::nullopt;
  return static_cast<std::int32_t>(*id);
}

std::vector<std::int64_t> types(const GgufFile& file, std::size_t tokens) {
  auto types =
      file.integers("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>(tokens, kNormal));
  if (types.size() != tokens)
    file.fail("has " + std::to_string(tokens) + " tokens and " + std::to_string(types.size()) +
              " types of them; export it again");
  return types;
}

std::shared_ptr<const Vocabulary> byte_level(const GgufFile& file) {
  const auto& family = unroll::family(file);
  const auto tokens = strings(file, "tokenizer.ggml.tokens");
  const auto types = unroll::types(file, tokens.size());
  WrittenVocabulary vocabulary(Writing::kByteAlphabet);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i);
    // Tokens that were added to a vocabulary are never found in text, so they count as control tokens.
    if (types[i] == kControl || types[i] == kUserDefined) {
      vocabulary.add_control(id, tokens[i]);
    } else {
      vocabulary.add_token(id, tokens[i]);
    }
  }
  for (const auto merge : strings(file, "tokenizer.ggml.merges")) vocabulary.add_merge(merge);
  auto description = vocabulary.take();
  if (family.digits) description.cuts.push_back({Cut::kDigit});
  description.cuts.push_back({Cut::kPattern, std::string(family.pattern)});
  description.nfc = family.nfc;
  description.whole_words = family.whole_words;
  description.special.begin = token(file, "tokenizer.ggml.bos_token_id", tokens.size());
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const auto end = token(file, key, tokens.size())) description.special.add_end(*end);
  }
  add_known_ends(vocabulary.control(), description.special);
  return std::make_shared<const BpeVocabulary>(std::move(description));
}

// --- SentencePiece: converts the vocabulary to the protocol buffer that its library loads.

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
  return bytes += static_cast<char>(value);
}
std::string number_field(std::uint64_t field, std::uint64_t value) {
  return varint(field << 3U) + varint(value);
}
std::string bytes_field(std::uint64_t field, std::string_view value) {
  return (varint((field << 3U) | 2U) + varint(value.size())).append(value);
}
std::string float_field(std::uint64_t field, float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return varint((field << 3U) | 5U) + bytes;
}

/// Whether it is an added token other than those for runs of spaces and line ends.
bool is_markup(std::string_view piece) {
  return from_space_marks(piece).find_first_not_of(" \n\t") != std::string::npos;
}

std::shared_ptr<const Vocabulary> sentencepiece_bpe(const GgufFile& file) {
  const auto tokens = strings(file, "tokenizer.ggml.tokens");
  auto types = unroll::types(file, tokens.size());
  const auto scores = file.numbers("tokenizer.ggml.scores").value_or(std::vector<float>());
  if (scores.size() != tokens.size()) file.fail("lacks a score of each token; export it again");
  const auto unknown = token(file, "tokenizer.ggml.unknown_token_id", tokens.size()).value_or(0);
  std::string model;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    auto type = types[i];
    if (type == kUserDefined && is_markup(tokens[i])) type = kControl;
    if (type == kUnknown) type = kControl;
    if (static_cast<std::int32_t>(i) == unknown) type = kUnknown;
    model += bytes_field(1, bytes_field(1, tokens[i]) + float_field(2, scores[i]) +
                                number_field(3, static_cast<std::uint64_t>(type)));
  }
  std::string trainer = number_field(3, 2) + number_field(35, 1);  // BPE, byte_fallback
  trainer += bytes_field(45, tokens.at(static_cast<std::size_t>(unknown)));
  const std::pair<const char*, std::uint64_t> named[] = {{"tokenizer.ggml.bos_token_id", 46},
                                                         {"tokenizer.ggml.eos_token_id", 47}};
  for (const auto& [key, field] : named) {
    if (const auto id = token(file, key, tokens.size()))
      trainer += bytes_field(field, tokens[static_cast<std::size_t>(*id)]);
  }
  const bool space = file.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  model += bytes_field(2, trainer);
  // add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces
  model += bytes_field(3, bytes_field(1, "identity") + number_field(3, space ? 1 : 0) + number_field(4, 0) +
                              number_field(5, 1));
  return std::make_shared<const SentencePieceVocabulary>(model, std::filesystem::path());
}

}  // namespace

std::shared_ptr<const Vocabulary> load_gguf_vocabulary(const std::filesystem::path& path) {
  const GgufFile file(path);
  const auto kind = file.string("tokenizer.ggml.model").value_or("");
  try {
    if (kind == "gpt2") return byte_level(file);
    if (kind == "llama") return sentencepiece_bpe(file);
  } catch (const std::exception& error) {
    const std::string_view what = error.what();
    if (what.starts_with(path.string())) throw;
    file.fail(std::string(what));
  }
  file.fail("its tokenizer.ggml.model " + shown(kind) + " is not supported; supported are gpt2 and llama");
}

}  // namespace unroll
