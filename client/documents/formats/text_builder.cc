#include "client/documents/formats/text_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "client/documents/gutenberg.h"
#include "client/documents/kind.h"

namespace unroll::formats {
namespace {

constexpr std::string_view kSoftHyphen = "\xC2\xAD", kMark = "\xEF\xBB\xBF", kHardSpace = "\xC2\xA0",
                           kWordJoiner = "\xE2\x81\xA0";

/// The letters of a ligature with which `text` begins: those of U+FB00 to U+FB06, of three bytes each.
constexpr std::size_t kLigatureBytes = 3;
std::string_view letters_of_ligature(std::string_view text) {
  static constexpr std::array<std::string_view, 7> kLetters = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
  if (!text.starts_with("\xEF\xAC") || text.size() < kLigatureBytes) return {};
  const auto which = static_cast<unsigned char>(text[2]) - 0x80U;
  return which < kLetters.size() ? kLetters.at(which) : std::string_view();
}

/// The length of white space with which `text` begins: a byte of ASCII; or U+2000 to U+200A, U+2028, U+2029.
std::size_t white_space_at(std::string_view text) {
  if (ascii::is_space(text.front())) return 1;
  if (!text.starts_with("\xE2\x80") || text.size() < 3) return 0;
  const auto last = static_cast<unsigned char>(text[2]);
  return (last >= 0x80 && last <= 0x8A) || last == 0xA8 || last == 0xA9 ? 3 : 0;
}

/// The length of what shows nothing: a byte order mark; and unless layout is kept, a soft hyphen or a word
/// joiner.
std::size_t invisible_at(std::string_view text, bool keep_layout) {
  if (text.starts_with(kMark)) return kMark.size();
  if (keep_layout) return 0;
  return text.starts_with(kSoftHyphen)   ? kSoftHyphen.size()
         : text.starts_with(kWordJoiner) ? kWordJoiner.size()
                                         : 0;
}

/// Whether the text here is not simply part of a word.
bool is_special(std::string_view text) {
  const char c = text.front();
  if (static_cast<unsigned char>(c) < 0x80) return ascii::is_space(c);
  return text.starts_with(kHardSpace) || white_space_at(text) > 0 || invisible_at(text, false) > 0 ||
         !letters_of_ligature(text).empty();
}

/// Titles are shown in tables and in each output: one line, not long.
std::string title_of(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string title;
  for (const char c : text) {
    if (!ascii::is_space(c))
      title += c;
    else if (!title.empty() && title.back() != ' ')
      title += ' ';
  }
  if (title.size() > kLongest) {
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(title[end]) & 0xC0) == 0x80) --end;
    title.resize(end);
  }
  if (!title.empty() && title.back() == ' ') title.pop_back();
  return title;
}

}  // namespace

void TextBuilder::begin_member(std::string name, const Decoding* decoding) {
  end_paragraph();
  waiting_.clear();  // of a member without text
  map_.members.push_back(std::move(name));
  decoding_ = decoding;
}

void TextBuilder::section(std::string title, int level) {
  end_paragraph();
  waiting_.push_back({title_of(title), level, 0});
}

void TextBuilder::begin_heading(int level) {
  end_paragraph();
  in_heading_ = true;
  heading_begun_ = false;
  waiting_.push_back({"", level, 0});
}

void TextBuilder::end_heading() {
  if (!in_heading_) return;
  in_heading_ = false;
  if (!heading_begun_) {
    waiting_.pop_back();  // an empty heading
  } else {
    Section& section = map_.sections.at(heading_);
    section.title = title_of(std::string_view(text_).substr(section.start));
  }
  end_paragraph();
}

void TextBuilder::open_paragraph() {
  if (in_paragraph_) return;
  if (!text_.empty()) text_ += text_.ends_with('\n') ? "\n" : "\n\n";
  in_paragraph_ = true;
  space_ = false;
  for (Section& section : waiting_) {
    section.start = text_.size();
    map_.sections.push_back(std::move(section));
  }
  if (in_heading_ && !waiting_.empty()) {
    heading_begun_ = true;
    heading_ = map_.sections.size() - 1;
  }
  waiting_.clear();
}

void TextBuilder::append(std::string_view utf8, std::uint64_t offset, std::uint64_t source_bytes) {
  if (text_.size() + utf8.size() > kMostTextBytes)
    throw Unreadable("holds more than " + std::to_string(kMostTextBytes >> 20) +
                     " MiB of text, which is the limit; split it");
  if (!map_.members.empty()) {
    const std::uint64_t member = map_.members.size() - 1;
    if (decoding_ != nullptr) {
      decoding_->locate(
          offset, source_bytes,
          [&](std::uint64_t into, std::uint64_t length, std::uint64_t source, std::uint64_t source_length) {
            if (source_bytes != utf8.size()) length = into == 0 ? utf8.size() : 0;  // one character
            map_.append({text_.size() + into, length, source, source_length, member});
          });
    } else {
      map_.append({text_.size(), utf8.size(), 0, 0, member});
    }
  }
  text_ += utf8;
}

void TextBuilder::white_space(std::uint64_t offset) {
  if (!space_) space_at_ = hard_space_at_.value_or(offset);
  hard_space_at_.reset();
  space_ = in_paragraph_;
}

void TextBuilder::word(std::string_view utf8, std::uint64_t offset, std::uint64_t source_bytes) {
  if (!in_paragraph_) {
    open_paragraph();
  } else if (space_ && !text_.ends_with('\n')) {
    if (space_at_)
      append(" ", *space_at_, 1);
    else
      text_ += ' ';
  } else if (hard_space_at_) {
    append(kHardSpace, *hard_space_at_, kHardSpace.size());
  }
  space_ = false;
  hard_space_at_.reset();
  append(utf8, offset, source_bytes);
}

void TextBuilder::text(std::string_view utf8, std::uint64_t offset) {
  for (std::size_t at = 0; at < utf8.size();) {
    const std::string_view rest = utf8.substr(at);
    std::size_t length = 1;
    if (const std::size_t space = white_space_at(rest); space > 0) {
      length = space;
      white_space(offset + at);
    } else if (rest.starts_with(kHardSpace)) {
      length = kHardSpace.size();
      if (!in_paragraph_ || space_ || hard_space_at_ || text_.ends_with('\n'))
        white_space(offset + at);
      else
        hard_space_at_ = offset + at;
    } else if (const std::size_t invisible = invisible_at(rest, keep_layout_); invisible > 0) {
      length = invisible;
    } else if (const auto letters = letters_of_ligature(rest); !letters.empty() && !keep_layout_) {
      length = kLigatureBytes;
      word(letters, offset + at, length);
    } else {
      while (length < rest.size() && !is_special(rest.substr(length))) ++length;
      word(rest.substr(0, length), offset + at, length);
    }
    at += length;
  }
}

void TextBuilder::verbatim(std::string_view utf8, std::uint64_t offset) {
  if (utf8.empty()) return;
  open_paragraph();
  append(utf8, offset, utf8.size());
}

void TextBuilder::space() {
  if (!space_) space_at_ = std::exchange(hard_space_at_, {});
  space_ = in_paragraph_;
}

void TextBuilder::insert(std::string_view utf8) {
  open_paragraph();
  if (hard_space_at_) space();
  if (space_ && utf8 != "\t" && !text_.ends_with('\n') && !text_.ends_with(' ')) text_ += ' ';
  space_ = false;
  text_ += utf8;
}

void TextBuilder::line_break() {
  space_ = false;
  hard_space_at_.reset();
  if (in_paragraph_ && !text_.ends_with('\n')) text_ += '\n';
}

void TextBuilder::end_paragraph() {
  if (!in_paragraph_) return;
  while (text_.ends_with('\n') || text_.ends_with('\t')) text_.pop_back();
  map_.truncate(text_.size());
  in_paragraph_ = false;
  space_ = false;
  hard_space_at_.reset();
}

void TextBuilder::note(const std::string& note) {
  if (std::ranges::find(notes_, note) == notes_.end()) notes_.push_back(note);
}

void TextBuilder::drop_gutenberg(DocumentText& document) const {
  const GutenbergBook book = find_gutenberg_book(document.text);
  const auto cut = [&](std::size_t begin, std::size_t end) {
    document.text.erase(begin, end - begin);
    document.map.cut(begin, end);
  };
  const std::size_t whole = document.text.size();
  cut(book.end, whole);
  cut(0, book.begin);
  if (document.text.size() < whole)
    document.notes.push_back("dropped Project Gutenberg's header and license (" +
                             std::to_string(whole - document.text.size()) + " bytes)");
}

DocumentText TextBuilder::finish(std::string format) {
  end_heading();
  end_paragraph();
  DocumentText document{std::move(format), std::move(notes_), std::move(text_), std::move(map_)};
  if (!keep_layout_) drop_gutenberg(document);
  while (document.text.ends_with('\n')) document.text.pop_back();
  if (!document.text.empty()) document.text += '\n';
  std::erase_if(document.map.sections, [](const Section& section) { return section.title.empty(); });
  document.map.truncate(document.text.size());
  return document;
}

void LaterText::text(std::string_view utf8, std::uint64_t offset) {
  text_ += utf8;
  pieces_.push_back({offset, static_cast<std::uint32_t>(utf8.size()), false});
}

void LaterText::end_paragraph() {
  if (!pieces_.empty()) pieces_.back().ends_paragraph = true;
}

void LaterText::write(TextBuilder& builder, std::string_view title) {
  if (pieces_.empty()) return;
  builder.end_paragraph();
  if (!title.empty()) builder.section(std::string(title), 1);
  std::size_t at = 0;
  for (const Piece& piece : pieces_) {
    builder.text(std::string_view(text_).substr(at, piece.length), piece.offset);
    if (piece.ends_paragraph) builder.end_paragraph();
    at += piece.length;
  }
  builder.end_paragraph();
  *this = {};
}

}  // namespace unroll::formats
