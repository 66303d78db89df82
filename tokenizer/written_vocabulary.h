// A byte-level BPE vocabulary as files hold it: tokens and merges written in GPT-2's alphabet.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tokenizer/bpe_vocabulary.h"

namespace unroll {

/// Collects what a file says. Everything throws std::runtime_error without the file's name.
class WrittenVocabulary {
 public:
  /// A token of the alphabet; one that is not written in it stands for its UTF-8.
  void add_token(std::int64_t id, std::string_view written);
  /// A control token, which stands for no bytes.
  void add_control(std::int64_t id, std::string_view name);
  /// A token that stands for its UTF-8.
  void add_plain(std::int64_t id, std::string_view text);
  /// The next merge, of two tokens' writings.
  void add_merge(std::string_view left, std::string_view right);
  /// The same, with a space between them.
  void add_merge(std::string_view both);

  const ControlTokens& control() const { return control_; }
  std::int32_t id(std::string_view written) const;  ///< -1: there is none.
  /// What was collected; the rest of it is the caller's to set.
  BpeDescription take() { return std::move(description_); }

 private:
  std::string& bytes(std::int64_t id);

  BpeDescription description_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;  // by writing
  ControlTokens control_;
};

}  // namespace unroll
