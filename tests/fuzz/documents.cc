// Any file as a document, also as the members of an EPUB, DOCX or ODT, and as what pdftotext prints: it is
// refused, or read with a result that the client accepts.
#include <array>
#include <stdexcept>
#include <vector>

#include "client/documents/formats/extract.h"
#include "client/documents/formats/pdf.h"
#include "tests/client/zip_bytes.h"
#include "tests/fuzz/input.h"

using namespace unroll;

namespace {

using Names = std::vector<std::string>;

/// The parts of `text` between separators, each a member; the last name takes the rest.
std::string archive_of(const Names& names, std::string_view text) {
  constexpr char kSeparator = '\x1E';
  std::vector<std::pair<std::string, std::string>> members;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::size_t end = i + 1 < names.size() ? text.find(kSeparator) : std::string_view::npos;
    members.emplace_back(names[i], text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return test::zip_of(members);
}

std::string epub_of(std::string_view text) {
  constexpr std::string_view kContainer =
      "<container><rootfiles><rootfile full-path='O/b.opf'/></rootfiles></container>\x1E";
  return archive_of(
      {"META-INF/container.xml", "O/b.opf", "O/toc.ncx", "O/nav.xhtml", "O/a.xhtml", "O/b c.xhtml"},
      std::string(kContainer) + std::string(text));
}

DocumentText document_of(int kind, std::string_view bytes, const formats::Options& options) {
  constexpr std::array kNames = {"x", "x.md", "x.html"};
  switch (kind) {
    case 3:
      return formats::read_pdf_layout(bytes, options);
    case 4:
      return formats::extract(epub_of(bytes), "x", options);
    case 5:
      return formats::extract(
          archive_of({"word/styles.xml", "word/footnotes.xml", "word/document.xml"}, bytes), "x", options);
    case 6:
      return formats::extract(archive_of({"mimetype", "content.xml"},
                                         "application/vnd.oasis.opendocument.text\x1E" + std::string(bytes)),
                              "x", options);
    case 7:
      return formats::extract(archive_of({"a.md", "b.html", "c"}, bytes), "x", options);
    default:
      return formats::extract(bytes, kNames.at(static_cast<std::size_t>(kind)), options);
  }
}

}  // namespace

/// The first byte: the kind, and the options.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const int how = input.byte();
  formats::Options options;
  options.keep_layout = (how & 8) != 0;
  options.unwrap = (how & 16) != 0;
  if ((how & 32) != 0) options.encoding = "windows-1252";
  try {
    const DocumentText document = document_of(how & 7, input.rest(), options);
    const DocumentText again = decode_document_text(encode(document));
    fuzz::require(again.text == document.text, "the client gets the text");
    fuzz::require(again.map.sections.size() == document.map.sections.size(), "the client gets the sections");
    for (std::size_t at = 0; at < document.text.size(); at += 97)
      again.map.place_of(at, std::min(at + 5, document.text.size()));
  } catch (const std::runtime_error&) {  // it is refused
  }
  return 0;
}
