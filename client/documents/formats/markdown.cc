// Markdown by md4c (CommonMark and GitHub's tables): the text without its marks; code keeps its lines.
#include <algorithm>
#include <exception>
#include <functional>

#include <md4c.h>

#include "client/documents/formats/markup.h"
#include "client/documents/formats/plain_text.h"
#include "client/documents/text_look.h"

namespace unroll::formats {
namespace {

class MarkdownReader {
 public:
  MarkdownReader(std::string_view source, std::uint64_t begin, TextBuilder& builder)
      : source_(source), begin_(begin), builder_(builder) {}

  void run() {
    MD_PARSER parser{};
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_PERMISSIVEAUTOLINKS;
    parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* data) {
      return self(data).guarded([&](MarkdownReader& reader) { reader.enter(type, detail); });
    };
    parser.leave_block = [](MD_BLOCKTYPE type, void*, void* data) {
      return self(data).guarded([&](MarkdownReader& reader) { reader.leave(type); });
    };
    parser.enter_span = [](MD_SPANTYPE type, void*, void* data) {
      self(data).images_ += type == MD_SPAN_IMG ? 1 : 0;
      return 0;
    };
    parser.leave_span = [](MD_SPANTYPE type, void*, void* data) {
      self(data).images_ -= type == MD_SPAN_IMG ? 1 : 0;
      return 0;
    };
    parser.text = [](MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* data) {
      return self(data).guarded([&](MarkdownReader& reader) { reader.text(type, {text, size}); });
    };
    ::md_parse(source_.data(), static_cast<MD_SIZE>(source_.size()), &parser, this);
    if (failed_) std::rethrow_exception(failed_);
  }

 private:
  static MarkdownReader& self(void* data) { return *static_cast<MarkdownReader*>(data); }

  /// md4c is C: an exception is kept until it has returned.
  template <class Call>
  int guarded(Call call) {
    try {
      call(*this);
      return 0;
    } catch (...) {
      failed_ = std::current_exception();
      return -1;
    }
  }

  void enter(MD_BLOCKTYPE type, void* detail) {
    if (type == MD_BLOCK_H)
      builder_.begin_heading(static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level));
    if (type == MD_BLOCK_CODE) builder_.end_paragraph();
    code_ = code_ || type == MD_BLOCK_CODE;
    if (type == MD_BLOCK_TR) first_cell_ = true;
    if (type == MD_BLOCK_TH || type == MD_BLOCK_TD) {
      if (!first_cell_) builder_.insert("\t");
      first_cell_ = false;
    }
  }

  void leave(MD_BLOCKTYPE type) {
    switch (type) {
      case MD_BLOCK_H:
        return builder_.end_heading();
      case MD_BLOCK_TR:
        return builder_.line_break();
      case MD_BLOCK_TH:
      case MD_BLOCK_TD:
        return;
      case MD_BLOCK_CODE:
        code_ = false;
        return builder_.end_paragraph();
      default:
        builder_.end_paragraph();
    }
  }

  void text(MD_TEXTTYPE type, std::string_view text) {
    if (images_ > 0 || type == MD_TEXT_HTML) return;
    if (type == MD_TEXT_BR) return builder_.line_break();
    if (type == MD_TEXT_SOFTBR) return builder_.space();
    if (type == MD_TEXT_NULLCHAR) return;
    // Some text, such as the line ends of code, is md4c's own.
    const std::less<> before;
    const bool in_source =
        !before(text.data(), source_.data()) && before(text.data(), source_.data() + source_.size());
    if (in_source) last_ = begin_ + static_cast<std::uint64_t>(text.data() - source_.data());
    if (type == MD_TEXT_ENTITY) {
      const std::string characters = text_of_entity(text);
      builder_.text(characters.empty() ? text : characters, last_);
    } else if (code_ && !in_source) {
      builder_.insert(text);
    } else if (code_) {
      builder_.verbatim(text, last_);
    } else if (type == MD_TEXT_NORMAL) {
      prose(text, last_);
    } else {
      builder_.text(text, last_);
    }
    last_ += in_source ? text.size() : 0;
  }

  /// Without the marks of footnotes: "word[^1]", "[^1]: The note."
  void prose(std::string_view text, std::uint64_t offset) {
    constexpr std::size_t kLongestMark = 40;
    for (;;) {
      const std::size_t begin = text.find("[^"), end = text.find(']', begin);
      if (end == std::string_view::npos || end - begin > kLongestMark) break;
      builder_.text(text.substr(0, begin), offset);
      const bool definition = builder_.between_paragraphs() && text.substr(end + 1).starts_with(':');
      const std::size_t next = end + (definition ? 2 : 1);
      text.remove_prefix(next);
      offset += next;
    }
    builder_.text(text, offset);
  }

  std::string_view source_;
  std::uint64_t begin_, last_ = 0;
  TextBuilder& builder_;
  std::exception_ptr failed_;
  int images_ = 0;
  bool code_ = false, first_cell_ = true;
};

/// The length of a header of properties (YAML or TOML), as site generators write it; 0 if there is none.
std::size_t front_matter(std::string_view text) {
  constexpr std::size_t kMostBytes = 16384;
  const auto line_at = [&](std::size_t at) {
    return without_trailing_space(text.substr(at, text.find('\n', at) - at));
  };
  const std::string_view mark = line_at(0);
  if (mark != "---" && mark != "+++") return 0;
  std::size_t at = text.find('\n');
  // A rule between sections looks the same.
  if (at == std::string_view::npos ||
      line_at(at + 1).find_first_of(mark == "---" ? ":#" : "=[#") == std::string_view::npos)
    return 0;
  while (at < kMostBytes) {
    const std::string_view line = line_at(++at);
    at = text.find('\n', at);
    if (line == mark || (mark == "---" && line == "...")) return std::min(at, text.size() - 1) + 1;
  }
  return 0;
}

}  // namespace

void read_markdown(const Decoding& decoding, const Options& options, TextBuilder& builder) {
  if (options.keep_layout) return builder.verbatim(decoding.text, 0);
  const std::size_t skipped = front_matter(decoding.text);
  MarkdownReader(std::string_view(decoding.text).substr(skipped), skipped, builder).run();
}

}  // namespace unroll::formats
