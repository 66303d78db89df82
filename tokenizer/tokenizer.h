// tokenizer/: bytes in, tokens with byte offsets out, as a stream. Any split of a document into chunks gives
// the same tokens, and any bytes at all go in (invalid UTF-8, NUL, a gigabyte without a newline). Memory is
// bounded by kMaxSegmentBytes, whatever the document. docs/tokenizers.md says what each kind of vocabulary
// does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

struct Token {
  std::int32_t id = 0;
  /// Bytes of the original; 1 or more, but that a document's first token may have none: it is then a space
  /// that the vocabulary puts before the text. Tokens tile the document.
  std::uint32_t length = 0;
  std::uint64_t begin = 0;          ///< Offset of its first byte in the document.
  std::uint64_t segment_begin = 0;  ///< Reading again from there gives the same tokens.
  bool operator==(const Token&) const = default;
};

/// A segment is what is tokenized by itself. It ends at a place that its own bytes decide, and has no more
/// than this, so that longer words and runs of spaces are cut.
inline constexpr std::size_t kMaxSegmentBytes = 4096;

/// The bytes from a segment's begin on that have arrived: all of the rest of the document, or at least 1.
struct UnreadBytes {
  std::string_view bytes;
  std::uint64_t begin = 0;  ///< Their offset in the document; 0: the document begins here.
  bool last = false;        ///< The document ends with them.
};

/// Immutable and safe to share between threads.
class Vocabulary {
 public:
  /// `path`: tokenizer.model (SentencePiece), tokenizer.json (byte-level BPE), a .gguf file, or a
  /// checkpoint's folder that has one of them: the first in this order is taken. Throws
  /// std::runtime_error that names the file, what is wrong with it, and what to do.
  static std::shared_ptr<const Vocabulary> load(const std::filesystem::path& path);
  virtual ~Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// The bytes that a token stands for; empty for control tokens. Throws std::out_of_range.
  std::string_view bytes(std::int32_t id) const { return tokens_.at(static_cast<std::size_t>(id)); }
  /// The same of all, by id.
  const std::vector<std::string>& tokens() const { return tokens_; }
  /// Gives the document's bytes back; of a vocabulary that normalises text, the normalised ones.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// What a document's first token is predicted from: the token for the begin of a text (BOS) or, if the
  /// vocabulary has none, for the end of one.
  std::int32_t first_input() const { return first_input_; }
  /// Tokens with which a model ends a text; none stands for bytes.
  const std::vector<std::int32_t>& ends() const { return ends_; }

  /// Appends the tokens of the segments that the bytes complete, and returns how many bytes those are. With
  /// kMaxSegmentBytes or more it completes at least one; with the last ones, all.
  virtual std::size_t tokenize(const UnreadBytes& unread, std::vector<Token>& out) const = 0;

 protected:
  Vocabulary() = default;

  std::vector<std::string> tokens_;
  std::int32_t first_input_ = 0;
  std::vector<std::int32_t> ends_;
};

/// One document's tokenizer. One thread at a time.
class StreamingTokenizer {
 public:
  /// `begin`: the document offset of the first byte to come (a Token::segment_begin when a document is
  /// resumed).
  explicit StreamingTokenizer(std::shared_ptr<const Vocabulary> vocabulary, std::uint64_t begin = 0);
  /// Takes the next bytes of the document; appends the tokens that they complete to `out`.
  void append(std::string_view bytes, std::vector<Token>& out);
  /// The document ends here: appends the tokens of what was held back.
  void finish(std::vector<Token>& out);
  std::size_t pending_bytes() const { return pending_.size(); }
  /// Where the segment begins that is not complete yet.
  std::uint64_t segment_begin() const { return segment_begin_; }

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::string pending_;
  std::uint64_t segment_begin_ = 0;
};

}  // namespace unroll
