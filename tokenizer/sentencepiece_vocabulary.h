// SentencePiece: tokenizer.model of Llama 2, Mistral and Gemma, and of this project's own models.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include <sentencepiece_processor.h>

#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// Three kinds of normalisation. Exact: tokens give the bytes back. With a space before the document: exact
/// but for that. Any other (NFKC, runs of spaces that become one): tokens stand for the normalised text, and
/// each has the bytes that it was made from.
///
/// A segment ends where no piece of the vocabulary could go on: after a newline, or before a space. In a
/// longer line it ends at a place within kMaxSegmentBytes.
class SentencePieceVocabulary : public Vocabulary {
 public:
  /// `model`: the serialized protocol buffer. Throws std::runtime_error without the file's name.
  SentencePieceVocabulary(std::string_view model, const std::filesystem::path& folder);
  std::size_t tokenize(const UnreadBytes& unread, std::vector<Token>& out) const override;

 private:
  /// A token and where it ends in its segment.
  struct Placed {
    std::int32_t id;
    std::size_t end;
  };

  void read_pieces(ControlTokens& control);
  void find_joints();
  void probe();
  std::size_t first_segment(std::string_view bytes, bool last) const;
  void tokenize_segment(std::string_view segment, std::uint64_t begin, std::vector<Token>& out) const;
  std::size_t plain_length(std::string_view bytes, bool exact) const;
  void encode_plain(std::string_view text, std::size_t place, bool begins, std::vector<Placed>& placed) const;
  bool encode_exactly(std::string_view text, std::size_t place, std::vector<Placed>& placed) const;
  void add_bytes(std::string_view bytes, std::size_t place, std::vector<Placed>& placed) const;

  sentencepiece::SentencePieceProcessor whole_;  // as it was trained: puts a space before a text, or does not
  sentencepiece::SentencePieceProcessor rest_;   // puts none
  std::array<std::int32_t, 256> byte_ids_{};     // of bytes without a piece: the unknown piece
  std::array<bool, 32> is_in_pieces_{};          // control characters
  bool has_exact_rest_ = false;                  // rest_ gives all bytes back
  bool adds_space_ = false;                      // whole_ puts a space before a text
  bool collapses_spaces_ = false;
  bool joins_newlines_ = false;  // a piece goes on after a newline
};

std::shared_ptr<const Vocabulary> load_sentencepiece(const std::filesystem::path& file);

}  // namespace unroll
