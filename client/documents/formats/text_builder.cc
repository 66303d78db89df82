#include "client/documents/formats/text_builder.h"

#include <algorithm>

#include "base/ascii.h"
#include "client/documents/kind.h"

namespace unroll::formats {
namespace {

constexpr std::string_view kSoftHyphen = "\xC2\xAD", kMark = "\xEF\xBB\xBF";

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

void TextBuilder::append(std::string_view utf8, std::uint64_t offset) {
  if (text_.size() + utf8.size() > kMostTextBytes)
    throw Unreadable("holds more than " + std::to_string(kMostTextBytes >> 20) +
                     " MiB of text, which is the limit; split it");
  if (!map_.members.empty()) {
    const std::uint64_t member = map_.members.size() - 1;
    if (decoding_ != nullptr) {
      decoding_->locate(
          offset, utf8.size(),
          [&](std::uint64_t into, std::uint64_t length, std::uint64_t source, std::uint64_t source_length) {
            map_.append({text_.size() + into, length, source, source_length, member});
          });
    } else {
      map_.append({text_.size(), utf8.size(), 0, 0, member});
    }
  }
  text_ += utf8;
}

void TextBuilder::text(std::string_view utf8, std::uint64_t offset) {
  std::size_t at = 0;
  const auto next = [&](std::string_view what) { return utf8.substr(at).starts_with(what); };
  while (at < utf8.size()) {
    if (ascii::is_space(utf8[at])) {
      if (!space_) space_at_ = offset + at;
      space_ = in_paragraph_;
      ++at;
      continue;
    }
    if (next(kMark) || (!keep_layout_ && next(kSoftHyphen))) {
      at += next(kMark) ? kMark.size() : kSoftHyphen.size();
      continue;
    }
    std::size_t end = at;
    while (end < utf8.size() && !ascii::is_space(utf8[end]) && !utf8.substr(end).starts_with(kMark) &&
           (keep_layout_ || !utf8.substr(end).starts_with(kSoftHyphen)))
      ++end;
    if (!in_paragraph_) {
      open_paragraph();
    } else if (space_ && !text_.ends_with('\n')) {
      if (space_at_)
        append(" ", *space_at_);
      else
        text_ += ' ';
    }
    space_ = false;
    append(utf8.substr(at, end - at), offset + at);
    at = end;
  }
}

void TextBuilder::verbatim(std::string_view utf8, std::uint64_t offset) {
  if (utf8.empty()) return;
  open_paragraph();
  append(utf8, offset);
}

void TextBuilder::space() {
  if (!space_) space_at_.reset();
  space_ = in_paragraph_;
}

void TextBuilder::insert(std::string_view utf8) {
  open_paragraph();
  if (space_ && !text_.ends_with('\n') && !text_.ends_with(' ')) text_ += ' ';
  space_ = false;
  text_ += utf8;
}

void TextBuilder::line_break() {
  space_ = false;
  if (in_paragraph_ && !text_.ends_with('\n')) text_ += '\n';
}

void TextBuilder::end_paragraph() {
  if (!in_paragraph_) return;
  while (text_.ends_with('\n') || text_.ends_with('\t')) text_.pop_back();
  map_.truncate(text_.size());
  in_paragraph_ = false;
  space_ = false;
}

void TextBuilder::drop_gutenberg(DocumentText& document) const {
  const auto line_end = [&](std::size_t from) {
    const std::size_t end = document.text.find('\n', from);
    return end == std::string::npos ? document.text.size() : end;
  };
  const auto mark = [&](const std::string& which, std::size_t from) {
    for (const char* book : {" OF THE PROJECT GUTENBERG EBOOK", " OF THIS PROJECT GUTENBERG EBOOK"}) {
      const std::size_t found = document.text.find("*** " + which + book, from);
      if (found != std::string::npos && (found == 0 || document.text[found - 1] == '\n')) return found;
    }
    return std::string::npos;
  };
  std::size_t dropped = 0;
  const auto cut = [&](std::size_t begin, std::size_t end) {
    document.text.erase(begin, end - begin);
    document.map.cut(begin, end);
    dropped += end - begin;
  };
  if (const std::size_t end = mark("END", 0); end != std::string::npos) cut(end, document.text.size());
  if (const std::size_t start = mark("START", 0); start != std::string::npos) {
    std::size_t after = line_end(start);
    while (after < document.text.size() && document.text[after] == '\n') ++after;
    cut(0, after);
  }
  if (dropped > 0)
    document.notes.push_back("dropped Project Gutenberg's header and license (" + std::to_string(dropped) +
                             " bytes)");
}

DocumentText TextBuilder::finish(std::string format) {
  end_heading();
  end_paragraph();
  DocumentText document{std::move(format), {}, std::move(text_), std::move(map_)};
  if (!keep_layout_) drop_gutenberg(document);
  while (document.text.ends_with('\n')) document.text.pop_back();
  if (!document.text.empty()) document.text += '\n';
  std::erase_if(document.map.sections, [](const Section& section) { return section.title.empty(); });
  document.map.truncate(document.text.size());
  return document;
}

}  // namespace unroll::formats
