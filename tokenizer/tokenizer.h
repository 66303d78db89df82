// tokenizer/: converts bytes to tokens with byte offsets, as a stream. The tokens do not depend on how a
// document is split into chunks, and any bytes are accepted (invalid UTF-8, NUL, a gigabyte without a
// newline). Memory is bounded by kMaxSegmentBytes. docs/tokenizers.md describes each kind of vocabulary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

struct Token {
  std::int32_t id = 0;
  /// Bytes of the original, 1 or more; only a document's first token may have none, if the vocabulary puts a
  /// space before the text. Tokens tile the document.
  std::uint32_t length = 0;
  std::uint64_t begin = 0;          ///< Offset of its first byte in the document.
  std::uint64_t segment_begin = 0;  ///< Tokenizing again from here gives the same tokens.
  bool operator==(const Token&) const = default;
};

/// A segment is the unit that is tokenized by itself. Its end depends only on its bytes. Longer words and
/// runs of spaces are cut at this length.
inline constexpr std::size_t kMaxSegmentBytes = 4096;

/// The bytes that have arrived from a segment's start on: at least 1, or with `last` the whole rest of the
/// document.
struct UnreadBytes {
  std::string_view bytes;
  std::uint64_t begin = 0;  ///< Their offset in the document; 0 at its beginning.
  bool last = false;        ///< The document ends with them.
};

/// Immutable and safe to share between threads.
class Vocabulary {
 public:
  /// Loads tokenizer.model (SentencePiece), tokenizer.json (byte-level BPE, SentencePiece's BPE), a .gguf
  /// file, or the first of these in a checkpoint's folder. Throws std::runtime_error that names the file, the
  /// problem, and what to do.
  static std::shared_ptr<const Vocabulary> load(const std::filesystem::path& path);
  virtual ~Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// The bytes of a token; empty for control tokens. Throws std::out_of_range.
  std::string_view bytes(std::int32_t id) const { return tokens_.at(static_cast<std::size_t>(id)); }
  /// The bytes of all tokens, by id.
  const std::vector<std::string>& tokens() const { return tokens_; }
  /// Restores the document's bytes; with a vocabulary that normalises, the normalised text.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// The token from which a document's first token is predicted: the one that begins a text (BOS) or, if the
  /// vocabulary has none, one that ends a text.
  std::int32_t first_input() const { return first_input_; }
  /// Tokens with which a model ends a text. They have no bytes.
  const std::vector<std::int32_t>& ends() const { return ends_; }
  /// By id, 1 for tokens before which a word ends: those that begin with ASCII white space, and those that
  /// end a text.
  const std::vector<std::uint8_t>& word_ends() const;

  /// Appends the tokens of the segments that the bytes complete, and returns the number of these bytes.
  /// kMaxSegmentBytes or more complete at least one segment; the document's last bytes complete all.
  virtual std::size_t tokenize(const UnreadBytes& unread, std::vector<Token>& out) const = 0;

 protected:
  Vocabulary() = default;

  std::vector<std::string> tokens_;
  std::int32_t first_input_ = 0;
  std::vector<std::int32_t> ends_;

 private:
  mutable std::once_flag word_ends_known_;
  mutable std::vector<std::uint8_t> word_ends_;
};

/// The tokenizer of one document. One thread at a time.
class StreamingTokenizer {
 public:
  /// `begin`: document offset of the first byte to come (a Token::segment_begin if a document is resumed).
  explicit StreamingTokenizer(std::shared_ptr<const Vocabulary> vocabulary, std::uint64_t begin = 0);
  /// Takes the document's next bytes, and appends the tokens that they complete to `out`.
  void append(std::string_view bytes, std::vector<Token>& out);
  /// The document ends here: appends the remaining tokens.
  void finish(std::vector<Token>& out);
  std::size_t pending_bytes() const { return pending_.size(); }
  /// Start of the segment that is not complete yet.
  std::uint64_t segment_begin() const { return segment_begin_; }

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::string pending_;
  std::uint64_t segment_begin_ = 0;
};

}  // namespace unroll
