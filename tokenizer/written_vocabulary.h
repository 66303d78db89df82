// A BPE vocabulary as files store it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tokenizer/bpe_vocabulary.h"

namespace unroll {

/// How tokens are written.
enum class Writing {
  kByteAlphabet,  ///< In GPT-2's alphabet. A token that is not represents its UTF-8 bytes.
  kSpaceMarks,    ///< As SentencePiece writes them.
};

/// Collects the content of a file. All members throw std::runtime_error without the file's name.
class WrittenVocabulary {
 public:
  explicit WrittenVocabulary(Writing writing) : writing_(writing) {}
  /// Adds a token, as it is written.
  void add_token(std::int64_t id, std::string_view written);
  /// Adds a control token, which has no bytes.
  void add_control(std::int64_t id, std::string_view name);
  /// Adds a token that represents its UTF-8 bytes.
  void add_plain(std::int64_t id, std::string_view text);
  /// Adds the next merge, of two written tokens.
  void add_merge(std::string_view left, std::string_view right);
  /// The same; the tokens are separated by a space.
  void add_merge(std::string_view both);

  const ControlTokens& control() const { return control_; }
  std::int32_t id(std::string_view written) const;  ///< -1 if there is none.
  /// Returns what was collected; the caller sets the other members.
  BpeDescription take() { return std::move(description_); }

 private:
  std::string& bytes(std::int64_t id);

  Writing writing_;
  BpeDescription description_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;  // by written form
  ControlTokens control_;
};

}  // namespace unroll
