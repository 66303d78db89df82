// client/documents/: formats of documents. Tells what a file is from its first bytes, and turns books, pages
// and office files into plain text with sections and a map back to the source. docs/documents.md has the
// rules.
//
// The client looks at the first bytes (this header, text_look.h). What must be converted is converted by
// `libexec/unroll/unroll-extract` (formats/), a process without permissions, because documents are not
// trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace unroll {

/// As many bytes of a document decide what it is.
inline constexpr std::size_t kLookedAtBytes = std::size_t{256} << 10;
/// Longer text is not converted, and longer results are refused.
inline constexpr std::uint64_t kMostTextBytes = std::uint64_t{256} << 20;

enum class DocumentKind {
  kText,  ///< Also what is not known, if it looks like text.
  kMarkdown,
  kHtml,
  kXml,  ///< FictionBook, TEI or flat OpenDocument.
  kRtf,
  kPdf,
  kZip,      ///< EPUB, DOCX, ODT, or an archive.
  kRefused,  ///< Not text; `what` and `advice` say what it is.
};

struct DocumentLook {
  DocumentKind kind = DocumentKind::kText;
  std::string what;    ///< For people: "HTML", "a PNG image".
  std::string advice;  ///< If refused: what to do.
};

/// `begin`: the first bytes, at most kLookedAtBytes are looked at. `name`: of the file, for its ending. Does
/// not look into text: see look_at_text().
DocumentLook look_at_kind(std::string_view begin, std::string_view name);

/// Whether `name` ends like that, ignoring case; `ending` is in lower case.
bool has_ending(std::string_view name, std::string_view ending);

}  // namespace unroll
