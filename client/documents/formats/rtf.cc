#include "client/documents/formats/rtf.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <unicode/utf8.h>

#include "base/ascii.h"

namespace unroll::formats {
namespace {

constexpr std::size_t kDeepest = 10'000;  ///< Groups in groups.
constexpr const char* kWestern = "windows-1252";

/// What a group inherits and may change.
struct Group {
  bool skipped = false;  ///< A destination that is no text.
  bool fonts = false;    ///< The font table.
  bool styles = false;   ///< The style sheet.
  bool note = false;     ///< A footnote or endnote.
  bool hidden = false;   ///< Hidden or deleted characters.
  int unicode_skip = 1;  ///< Characters after \u for readers without Unicode.
  std::string encoding;  ///< Of the current font; empty: the document's.

  bool is_text() const { return !skipped && !fonts && !styles && !hidden; }
};

constexpr std::array<std::string_view, 36> kNotText = {
    "colortbl",   "info",      "pict",      "object",    "header",
    "headerl",    "headerr",   "headerf",   "footer",    "footerl",
    "footerr",    "footerf",   "fldinst",   "listtable", "listoverridetable",
    "rsidtbl",    "generator", "themedata", "datastore", "latentstyles",
    "xmlnstbl",   "revtbl",    "private1",  "bkmkstart", "bkmkend",
    "nonshppict", "datafield", "shpinst",   "filetbl",   "annotation",
    "xe",         "tc",        "tcn",       "ftnsep",    "ftnsepc",
    "atnid"};

struct Symbol {
  std::string_view word, text;
};
constexpr std::array kSymbols = {Symbol{"emdash", "\xE2\x80\x94"},
                                 Symbol{"endash", "\xE2\x80\x93"},
                                 Symbol{"lquote", "\xE2\x80\x98"},
                                 Symbol{"rquote", "\xE2\x80\x99"},
                                 Symbol{"ldblquote", "\xE2\x80\x9C"},
                                 Symbol{"rdblquote", "\xE2\x80\x9D"},
                                 Symbol{"bullet", "\xE2\x80\xA2"},
                                 Symbol{"emspace", " "},
                                 Symbol{"enspace", " "}};

std::string encoding_of_charset(int charset) {
  switch (charset) {
    case 0:
      return kWestern;
    case 77:
      return "macintosh";
    case 128:
      return "windows-932";
    case 129:
      return "windows-949";
    case 134:
      return "windows-936";
    case 136:
      return "windows-950";
    case 161:
      return "windows-1253";
    case 162:
      return "windows-1254";
    case 163:
      return "windows-1258";
    case 177:
      return "windows-1255";
    case 178:
      return "windows-1256";
    case 186:
      return "windows-1257";
    case 204:
      return "windows-1251";
    case 222:
      return "windows-874";
    case 238:
      return "windows-1250";
    default:
      return "";
  }
}

/// ICU's name of a code page of Windows, DOS or the Macintosh.
std::string encoding_of_code_page(long page) {
  if (page == 65001) return "UTF-8";
  if (page == 10000) return "macintosh";
  if (page == 10007) return "x-mac-cyrillic";
  const bool windows =
      page >= 1250 || page == 874 || page == 932 || page == 936 || page == 949 || page == 950;
  return (windows ? "windows-" : "ibm-") + std::to_string(page);
}

class RtfReader {
 public:
  RtfReader(std::string_view bytes, TextBuilder& builder) : bytes_(bytes), builder_(builder) {}

  void run() {
    groups_.emplace_back();
    while (at_ < bytes_.size()) {
      const std::size_t begin = at_;
      const char c = bytes_[at_++];
      if (c == '{') {
        flush();
        if (groups_.size() >= kDeepest)
          throw Unreadable("is a damaged RTF: its groups are nested too deeply");
        groups_.push_back(groups_.back());
      } else if (c == '}') {
        end_group();
      } else if (c == '\\') {
        control();
      } else if (c != '\r' && c != '\n') {
        byte(c, begin);
      }
    }
    flush();
    builder_.end_heading();
    notes_.write(builder_, "Notes");
  }

 private:
  Group& group() { return groups_.back(); }

  void end_group() {
    flush();
    starred_ = false;
    if (groups_.size() == 1) return;
    const bool note = group().note;
    groups_.pop_back();
    if (note && !group().note) notes_.end_paragraph();
  }

  /// In UTF-8.
  void emit(std::string_view text, std::size_t offset) {
    if (!group().is_text()) return;
    if (group().note) return notes_.text(text, offset);
    if (after_row_) builder_.end_paragraph();
    after_row_ = false;
    for (; cells_ > 0; --cells_) builder_.insert("\t");
    builder_.text(text, offset);
  }

  /// A byte of text in the current encoding.
  void byte(char c, std::size_t offset) {
    if (fallback_ > 0) {
      --fallback_;
      return;
    }
    if (!group().is_text()) return;
    if (pending_.empty()) pending_at_ = offset;
    pending_ += c;
  }

  void flush() {
    if (pending_.empty()) return;
    const bool ascii =
        std::ranges::all_of(pending_, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    emit(ascii ? pending_ : decoded(pending_), pending_at_);
    pending_.clear();
  }

  std::string decoded(const std::string& bytes) const {
    const std::string& font = groups_.back().encoding;
    const auto usual = fonts_.find(default_font_);
    // Charset 0 is Windows-1252, which many programs write without meaning it.
    const bool has_usual = usual != fonts_.end() && !usual->second.empty() && usual->second != kWestern;
    std::string text = decode_piece(bytes, !font.empty() ? font : has_usual ? usual->second : encoding_);
    return text.empty() ? decode_piece(bytes, kWestern) : text;
  }

  void character(UChar32 code, std::size_t offset) {
    flush();
    std::array<char, 4> utf8{};
    std::int32_t length = 0;
    U8_APPEND_UNSAFE(utf8.data(), length, code);
    emit({utf8.data(), static_cast<std::size_t>(length)}, offset);
  }

  void control() {
    const std::size_t begin = at_ - 1;
    if (at_ >= bytes_.size()) return;
    const char c = bytes_[at_];
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
      ++at_;
      return symbol(c, begin);
    }
    const std::size_t word_begin = at_;
    while (at_ < bytes_.size() && ascii::is_letter(bytes_[at_])) ++at_;
    const std::string_view word = bytes_.substr(word_begin, at_ - word_begin);
    bool negative = false, has_number = false;
    long number = 0;
    if (at_ < bytes_.size() && bytes_[at_] == '-') {
      negative = true;
      ++at_;
    }
    while (at_ < bytes_.size() && ascii::is_digit(bytes_[at_])) {
      number = std::min(number * 10 + (bytes_[at_++] - '0'), 1'000'000'000L);
      has_number = true;
    }
    if (at_ < bytes_.size() && bytes_[at_] == ' ') ++at_;
    obey(word, has_number, negative ? -number : number, begin);
  }

  void symbol(char c, std::size_t begin) {
    if (c == '\'') {
      const auto digit = [&](std::size_t at) {
        return at < bytes_.size()
                   ? std::string_view("0123456789abcdef").find(static_cast<char>(bytes_[at] | 0x20))
                   : std::string_view::npos;
      };
      const std::size_t high = digit(at_), low = digit(at_ + 1);
      if (high > 15 || low > 15) return;
      at_ += 2;
      byte(static_cast<char>(high * 16 + low), begin);
    } else if (c == '*') {
      starred_ = true;
    } else if (c == '~') {
      character(0xA0, begin);
    } else if (c == '_') {
      character(0x2011, begin);
    } else if (c == '{' || c == '}' || c == '\\') {
      byte(c, begin);
    } else if (c == '\n' || c == '\r') {
      paragraph();
    }
  }

  void paragraph() {
    flush();
    if (!group().is_text()) return;
    if (group().note) return notes_.end_paragraph();
    builder_.end_heading();
    builder_.end_paragraph();
    cells_ = 0;
  }

  void obey(std::string_view word, bool has_number, long number, std::size_t begin) {
    if (word == "bin") {
      at_ += std::min(static_cast<std::size_t>(std::max(0L, number)), bytes_.size() - at_);
      return;
    }
    if (word == "u") return unicode(number, begin);
    if (word == "uc") {
      group().unicode_skip = static_cast<int>(std::clamp(number, 0L, 8L));
      return;
    }
    flush();
    // A destination that readers may skip; of these only notes are known here.
    const bool starred = std::exchange(starred_, false) && word != "footnote";
    if (starred || std::ranges::find(kNotText, word) != kNotText.end()) {
      group().skipped = true;
    } else if (word == "fonttbl") {
      group().fonts = true;
    } else if (word == "stylesheet") {
      group().styles = true;
    } else if (word == "footnote") {
      group().note = true;
    } else if (word == "v" || word == "deleted") {
      group().hidden = !has_number || number != 0;
    } else if (!encode(word, has_number, number)) {
      layout(word, number, begin);
    }
  }

  /// Words that say in which encoding text is.
  bool encode(std::string_view word, bool has_number, long number) {
    if (word == "ansicpg" && has_number) {
      encoding_ = encoding_of_code_page(number);
    } else if (word == "mac") {
      encoding_ = "macintosh";
    } else if (word == "pc" || word == "pca") {
      encoding_ = word == "pc" ? "ibm-437" : "ibm-850";
    } else if (word == "deff") {
      default_font_ = number;
    } else if (word == "plain") {
      group().encoding.clear();
      group().hidden = false;
    } else if (word == "f") {
      if (group().fonts)
        font_ = number;
      else if (const auto found = fonts_.find(number); found != fonts_.end())
        group().encoding = found->second;
    } else if (word == "fcharset" && group().fonts) {
      fonts_[font_] = encoding_of_charset(static_cast<int>(number));
    } else {
      return false;
    }
    return true;
  }

  void layout(std::string_view word, long number, std::size_t begin) {
    if (group().styles) {
      if (word == "s") style_ = number;
      if (word == "outlinelevel" && number >= 0 && number < 9) levels_[style_] = static_cast<int>(number) + 1;
      return;
    }
    if (!group().is_text()) return;
    if (word == "par" || word == "sect" || word == "page") {
      paragraph();
    } else if (group().note) {
      if (word == "line" || word == "tab") notes_.space();
    } else if (word == "row" || word == "nestrow") {
      builder_.line_break();
      cells_ = 0;
      after_row_ = true;
    } else if (word == "trowd" || word == "intbl") {
      after_row_ = false;
    } else if (word == "line") {
      builder_.line_break();
    } else if (word == "tab") {
      builder_.space();
    } else if (word == "cell" || word == "nestcell") {
      ++cells_;
    } else if (word == "outlinelevel" && number >= 0 && number < 9 && builder_.between_paragraphs()) {
      builder_.begin_heading(static_cast<int>(number) + 1);
    } else if (word == "s" && builder_.between_paragraphs()) {
      if (const auto level = levels_.find(number); level != levels_.end())
        builder_.begin_heading(level->second);
    }
    for (const Symbol& symbol : kSymbols) {
      if (symbol.word == word) emit(symbol.text, begin);
    }
  }

  void unicode(long number, std::size_t begin) {
    const auto unit = static_cast<UChar32>(static_cast<std::uint16_t>(number));
    if (unit >= 0xD800 && unit < 0xDC00) {
      high_ = unit;
    } else if (unit >= 0xDC00 && unit < 0xE000) {
      if (high_ != 0) character(0x10000 + ((high_ - 0xD800) << 10) + (unit - 0xDC00), begin);
      high_ = 0;
    } else {
      character(unit, begin);
    }
    fallback_ = group().unicode_skip;
  }

  std::string_view bytes_;
  TextBuilder& builder_;
  std::size_t at_ = 0;
  std::vector<Group> groups_;
  std::string encoding_ = kWestern;
  std::map<long, std::string> fonts_;  ///< Encodings by number.
  std::map<long, int> levels_;         ///< Of headings, by style.
  long font_ = 0, style_ = 0, default_font_ = -1;
  std::string pending_;  ///< Bytes of text, not yet decoded.
  std::size_t pending_at_ = 0;
  UChar32 high_ = 0;
  int fallback_ = 0;
  bool starred_ = false;  ///< After \*: the next word names a destination.
  int cells_ = 0;         ///< That ended, before text of the next one.
  bool after_row_ = false;
  LaterText notes_;
};

}  // namespace

DocumentText read_rtf(std::string_view bytes, const Options& options) {
  TextBuilder builder(options.keep_layout);
  const Decoding offsets = Decoding::same(std::string(bytes), 0, "RTF");
  builder.begin_member("", &offsets);
  RtfReader(bytes, builder).run();
  return builder.finish("RTF");
}

}  // namespace unroll::formats
