// SentencePiece's BPE as tokenizer.json describes it: the vocabulary of Llama 2, Mistral and Yi.
#pragma once

#include "tokenizer/bpe_vocabulary.h"
#include "tokenizer/written_vocabulary.h"

namespace unroll {

/// How such a file treats spaces.
struct Spaces {
  bool begin_words = false;   ///< Nothing is merged over the beginning of a space.
  bool before_text = false;   ///< A space is put before the text,
  bool unless_there = false;  ///< unless it begins with one.
};

/// Takes the description of a vocabulary that is written with space marks. Its words end between characters
/// that no merge joins: what is before such a place does not change the tokens after it. Throws
/// std::runtime_error without the file's name.
BpeDescription take_character_bpe(WrittenVocabulary& vocabulary, const Spaces& spaces);

}  // namespace unroll
