// tokenizer/: bytes in, tokens with byte offsets out, as a stream. Any split of a document into chunks gives
// the same tokens; any bytes at all go in (invalid UTF-8, NUL, a gigabyte without a newline) and decoding
// gives them back exactly. Memory is bounded by kMaxSegmentBytes, whatever the document.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

inline constexpr std::int32_t kBeginOfDocument =
    1;  ///< SentencePiece's <s>: what the first token is conditioned on.

struct Token {
  std::int32_t id = 0;
  std::uint32_t length = 0;  ///< Bytes of the original; 1 or more.
  std::uint64_t begin = 0;   ///< Offset of its first byte in the document.
  std::uint64_t segment_begin =
      0;  ///< Where its segment begins: reading again from there gives the same tokens.
  bool operator==(const Token&) const = default;
};

/// A SentencePiece vocabulary. Immutable and safe to share between threads.
class Vocabulary {
 public:
  /// Throws std::runtime_error that names the file and what is wrong (missing, not SentencePiece, no byte
  /// pieces).
  static std::shared_ptr<const Vocabulary> load(const std::filesystem::path& file);
  ~Vocabulary();
  std::int32_t size() const;
  /// The bytes that a token stands for; empty for control pieces. Throws std::out_of_range.
  std::string_view bytes(std::int32_t id) const;
  /// The same of all, by id.
  const std::vector<std::string>& tokens() const;
  std::string decode(std::span<const std::int32_t> ids) const;
  /// Tokens of one whole segment, appended to `ids`; their bytes, put together, are `segment`.
  void encode_segment(std::string_view segment, std::vector<std::int32_t>& ids) const;

 private:
  struct Impl;
  explicit Vocabulary(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A segment ends behind a newline, or, in a longer line, at a place within kMaxSegmentBytes that its own
/// bytes decide.
inline constexpr std::size_t kMaxSegmentBytes = 4096;

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
  void emit_segment(std::string_view segment, std::vector<Token>& out);

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::string pending_;
  std::uint64_t segment_begin_ = 0;
  std::vector<std::int32_t> ids_;
};

}  // namespace unroll
