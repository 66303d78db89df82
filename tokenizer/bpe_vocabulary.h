// Vocabularies of BPE: byte-level (GPT-2, Llama 3, Qwen, SmolLM) and SentencePiece's as tokenizer.json
// describes it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/word_cache.h"

namespace unroll {

/// Such a vocabulary as a file describes it.
struct BpeDescription {
  std::vector<std::string> tokens;  ///< By id: the bytes; empty for control tokens.
  std::vector<Merge> merges;
  std::vector<Cut> cuts;
  bool nfc = false;          ///< Text is converted to Unicode's normal form C first.
  bool whole_words = false;  ///< A word that is a token becomes that token, whatever the merges are.
  /// Token for each byte that has none. Absent: such a byte is added to a neighbouring token.
  std::optional<std::int32_t> unknown;
  std::optional<Alphabet> alphabet;    ///< Absent: byte-level.
  std::optional<std::int32_t> prefix;  ///< A symbol that is put before the document,
  bool prefix_unless_there = false;    ///< unless the document begins with a space.
  SpecialTokens special;
};

/// A segment is one or a few words; tokenizing can restart at its end, and it has no more tokens than bytes.
/// A longer segment is cut at kMaxSegmentBytes. Special tokens are never found in text, because text is data.
class BpeVocabulary : public Vocabulary {
 public:
  /// Throws std::runtime_error without the file's name.
  explicit BpeVocabulary(BpeDescription description);
  ~BpeVocabulary() override;
  std::size_t tokenize(const UnreadBytes& unread, std::vector<Token>& out) const override;

 private:
  struct Encoder;
  class Lease;
  struct Segment;

  bool encode_segment(Encoder& encoder, const UnreadBytes& unread, Segment& segment) const;
  std::optional<std::int32_t> prefix_at(std::uint64_t place, std::string_view word) const;
  void encode_word(Encoder& encoder, std::string_view word, std::optional<std::int32_t> prefix) const;
  void keep(WordCache::Entry& entry, std::string_view word, std::span<const Piece> pieces) const;
  void end_segment(Encoder& encoder) const;
  void emit(Encoder& encoder, const UnreadBytes& unread, const Segment& segment,
            std::vector<Token>& out) const;
  void emit_as_it_is(Encoder& encoder, std::string_view bytes, std::uint64_t begin,
                     std::vector<Token>& out) const;

  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  bool nfc_;
  std::optional<std::int32_t> prefix_;
  bool prefix_unless_there_;
  std::unordered_map<std::string_view, std::int32_t>
      whole_words_;  // empty: these words are merged like others

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Encoder>> idle_;  // as many as threads were working at once
};

}  // namespace unroll
