// Plain text and Markdown.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

/// Lines of one paragraph that are to be joined.
struct Line {
  std::string_view text;
  std::uint64_t offset = 0;  ///< Of `text` in the member's decoded text.
};

/// Between blank lines.
using Paragraph = std::vector<Line>;

/// 0 of an empty text.
char32_t last_character(std::string_view text);
/// The lines with a space between them.
std::string joined_text(const Paragraph& paragraph);

/// Decides for words that were divided at a line end whether the hyphen belongs to them.
class Hyphens {
 public:
  /// `text`: the whole document.
  explicit Hyphens(std::string_view text);
  ~Hyphens();
  enum class Joint { kSpace, kNothing, kDropHyphen };
  Joint between(std::string_view before, std::string_view after) const;
  /// Whether the document has it, in any case of ASCII.
  bool has_word(std::string_view word) const;

 private:
  struct Words;
  std::unique_ptr<Words> words_;
};

/// Appends the lines as one piece of text.
void join_lines(TextBuilder& builder, const std::vector<Line>& lines, const Hyphens& hyphens);

/// A paragraph of a plain text that is a chapter's heading: its level, or 0.
int heading_level(std::string_view paragraph);

/// Returns notes about what was done.
std::vector<std::string> read_plain_text(const Decoding& decoding, const Options& options,
                                         TextBuilder& builder);
void read_markdown(const Decoding& decoding, const Options& options, TextBuilder& builder);

}  // namespace unroll::formats
