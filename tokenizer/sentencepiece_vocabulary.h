// SentencePiece: tokenizer.model of Llama 2, Mistral and Gemma, and of this project's own models.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <sentencepiece_processor.h>

#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// There are three kinds of normalisation. Exact: tokens restore the bytes. With a space before the document:
/// exact except for that space. Any other (NFKC, collapsed spaces): tokens represent the normalised text, and
/// each has the bytes that its text was made from.
///
/// A segment ends where no piece of the vocabulary can continue: after a newline, or before a space. In a
/// longer line it ends within kMaxSegmentBytes.
class SentencePieceVocabulary : public Vocabulary {
 public:
  /// `model`: the serialized protocol buffer. Throws std::runtime_error without the file's name.
  SentencePieceVocabulary(std::string_view model, const std::filesystem::path& folder);
  std::size_t tokenize(const UnreadBytes& unread, std::vector<Token>& out) const override;

 private:
  /// A token, and its end in the segment.
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

  sentencepiece::SentencePieceProcessor whole_;  // as trained: may put a space before a text
  sentencepiece::SentencePieceProcessor rest_;   // never puts one
  std::array<std::int32_t, 256> byte_ids_{};     // for bytes without a piece: the unknown piece
  std::array<bool, 32> is_in_pieces_{};          // control characters
  bool has_exact_rest_ = false;                  // rest_ restores all bytes
  bool adds_space_ = false;                      // whole_ puts a space before a text
  std::optional<std::int32_t> space_before_;     // the piece of that space alone
  bool collapses_spaces_ = false;
  bool joins_newlines_ = false;  // a piece continues after a newline
};

std::shared_ptr<const Vocabulary> load_sentencepiece(const std::filesystem::path& file);

}  // namespace unroll
