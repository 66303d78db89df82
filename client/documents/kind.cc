#include "client/documents/kind.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.h"

namespace unroll {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view what, advice;
};

constexpr std::string_view kConvertImage = "unroll reads text; recognise its text first (OCR)";
constexpr std::string_view kUnpack = "unpack it, and name the files in it";
constexpr std::string_view kProgram = "unroll reads text, not programs";
constexpr std::string_view kMedia = "unroll reads text; transcribe it first";
constexpr std::string_view kSaveAs = "save it as DOCX, ODT or text";
constexpr std::string_view kTable = "export the text from it first";

/// Formats that hold no text that could be read, or that no reader here knows.
constexpr std::array kRefused = {
    Magic{0,
          "\x7f"
          "ELF"sv,
          "an ELF program or library", kProgram},
    Magic{0, "MZ\x90\0"sv, "a Windows program", kProgram},
    Magic{0, "\xcf\xfa\xed\xfe"sv, "a Mach-O program", kProgram},
    Magic{0, "\xca\xfe\xba\xbe"sv, "a Java class or Mach-O program", kProgram},
    Magic{0, "\0asm"sv, "a WebAssembly module", kProgram},
    Magic{0, "\x89PNG\r\n"sv, "a PNG image", kConvertImage},
    Magic{0, "\xff\xd8\xff"sv, "a JPEG image", kConvertImage},
    Magic{0, "GIF8"sv, "a GIF image", kConvertImage},
    Magic{0, "II*\0"sv, "a TIFF image", kConvertImage},
    Magic{0, "MM\0*"sv, "a TIFF image", kConvertImage},
    Magic{8, "WEBP"sv, "a WebP image", kConvertImage},
    Magic{0, "AT&TFORM"sv, "a DjVu document", "convert it with djvutxt"},
    Magic{60, "BOOKMOBI"sv, "a Mobipocket or Kindle book", "convert it to EPUB first"},
    Magic{60, "TEXtREAd"sv, "a PalmDOC book", "convert it to EPUB first"},
    Magic{0, "ITSF"sv, "a CHM help file", "convert it to HTML first"},
    Magic{0, "%!PS"sv, "PostScript", "convert it with ps2pdf"},
    Magic{0, "OggS"sv, "Ogg audio or video", kMedia},
    Magic{0, "fLaC"sv, "FLAC audio", kMedia},
    Magic{0, "ID3\2\0"sv, "MP3 audio", kMedia},
    Magic{0, "ID3\3\0"sv, "MP3 audio", kMedia},
    Magic{0, "ID3\4\0"sv, "MP3 audio", kMedia},
    Magic{8, "WAVEfmt"sv, "WAV audio", kMedia},
    Magic{0, "\x1a\x45\xdf\xa3"sv, "Matroska audio or video", kMedia},
    Magic{257, "ustar"sv, "a tar archive", kUnpack},
    Magic{0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    Magic{0, "Rar!\x1a\x07"sv, "a RAR archive", kUnpack},
    Magic{0, "\x04\x22\x4d\x18"sv, "an lz4 file", "decompress it first"},
    Magic{0, "\x1f\x9d"sv, "a compress (.Z) file", "decompress it first"},
    Magic{0, "SQLite format 3\0"sv, "an SQLite database", kTable},
    Magic{0, "PAR1\x15"sv, "a Parquet file", kTable},
    Magic{0, "GGUF\2\0"sv, "a GGUF model", "name it with --model"},
    Magic{0, "GGUF\3\0"sv, "a GGUF model", "name it with --model"},
};

bool has_magic(std::string_view begin, const Magic& magic) {
  return begin.size() > magic.offset && begin.substr(magic.offset).starts_with(magic.bytes);
}

/// Its first box is the type, of less than 64 KiB.
bool is_mp4(std::string_view begin) {
  return begin.starts_with("\0\0"sv) &&
         begin.substr(std::min<std::size_t>(4, begin.size())).starts_with("ftyp");
}

/// A text may begin with a few words about PDF.
bool is_pdf(std::string_view begin) {
  const std::size_t mark = begin.substr(0, 1024).find("%PDF-");
  return mark == 0 || (mark != std::string_view::npos && begin.find(" obj", mark) != std::string_view::npos);
}

/// A compound file: of Office before 2007, or a newer one with a password.
DocumentLook old_office(std::string_view begin) {
  constexpr auto kPackage = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0"sv;
  if (begin.find(kPackage) != std::string_view::npos)
    return {DocumentKind::kRefused, "an Office document with a password", "save it without the password"};
  return {DocumentKind::kRefused, "an old Office document (DOC, XLS, PPT)", std::string(kSaveAs)};
}

/// The first characters of markup in lower case, whatever its encoding: without a byte order mark, NULs
/// (UTF-16) and leading white space.
std::string markup_begin(std::string_view begin) {
  constexpr std::size_t kEnough = 4096;
  for (const std::string_view mark : {"\xef\xbb\xbf"sv, "\xff\xfe"sv, "\xfe\xff"sv}) {
    if (begin.starts_with(mark)) {
      begin.remove_prefix(mark.size());
      break;
    }
  }
  std::string text;
  for (const char c : begin.substr(0, kEnough)) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (c != '\0' && !(space && text.empty())) text += ascii::lower(c);
  }
  return text;
}

std::optional<DocumentLook> look_at_markup(std::string_view begin, std::string_view name) {
  const std::string text = markup_begin(begin);
  if (!text.starts_with('<')) return std::nullopt;
  const auto contains = [&](std::string_view what) { return text.find(what) != std::string::npos; };
  const bool named = has_ending(name, ".html") || has_ending(name, ".htm") || has_ending(name, ".xhtml");
  if (text.starts_with("<?xml") || text.starts_with("<fictionbook") || text.starts_with("<tei")) {
    if (contains("<fictionbook")) return DocumentLook{DocumentKind::kXml, "FictionBook", ""};
    if (contains("<office:document")) return DocumentLook{DocumentKind::kXml, "flat OpenDocument", ""};
    if (!contains("<html") && (contains("<tei") || contains("www.tei-c.org/ns")))
      return DocumentLook{DocumentKind::kXml, "TEI", ""};
  }
  if (text.starts_with("<!doctype html") || text.starts_with("<html") || named ||
      (text.starts_with("<?xml") && contains("<html")) || (text.starts_with("<!--") && contains("<html")))
    return DocumentLook{DocumentKind::kHtml, "HTML", ""};
  return std::nullopt;
}

}  // namespace

bool has_ending(std::string_view name, std::string_view ending) {
  if (name.size() < ending.size()) return false;
  name.remove_prefix(name.size() - ending.size());
  return std::ranges::equal(name, ending, {}, [](char c) { return ascii::lower(c); });
}

DocumentLook look_at_kind(std::string_view begin, std::string_view name) {
  if (begin.starts_with("PK\x03\x04") || begin.starts_with("PK\x05\x06"))
    return {DocumentKind::kZip, "a zip archive", ""};
  if (is_pdf(begin)) return {DocumentKind::kPdf, "PDF", ""};
  if (begin.starts_with("{\\rtf")) return {DocumentKind::kRtf, "RTF", ""};
  if (begin.starts_with("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) return old_office(begin);
  if (is_mp4(begin)) return {DocumentKind::kRefused, "MP4 audio or video", std::string(kMedia)};
  for (const Magic& magic : kRefused) {
    if (has_magic(begin, magic))
      return {DocumentKind::kRefused, std::string(magic.what), std::string(magic.advice)};
  }
  if (const auto markup = look_at_markup(begin, name)) return *markup;
  if (has_ending(name, ".md") || has_ending(name, ".markdown"))
    return {DocumentKind::kMarkdown, "Markdown", ""};
  return {DocumentKind::kText, "text", ""};
}

}  // namespace unroll
