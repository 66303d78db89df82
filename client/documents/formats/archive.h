// Zip archives: EPUB, DOCX, ODT, and archives of documents.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

/// The members of a zip archive that may hold text, in memory. libarchive knows names in UTF-8 only if that
/// is the locale's encoding (LC_CTYPE); members with other names are left out. Throws Unreadable if it is
/// damaged, encrypted, or a decompression bomb.
class ZipArchive {
 public:
  explicit ZipArchive(std::string_view bytes);
  const std::vector<std::string>& names() const { return names_; }  ///< In the archive's order.
  bool has(const std::string& name) const { return members_.contains(name); }
  /// Empty if it is missing.
  std::string_view member(const std::string& name) const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string, std::less<>> members_;
};

DocumentText read_zip(std::string_view bytes, const Options& options, int depth);

// Each reads the archive's text into the builder.
void read_epub(const ZipArchive& archive, const Options& options, TextBuilder& builder,
               std::vector<Decoding>& decodings);
void read_docx(const ZipArchive& archive, const std::string& document, TextBuilder& builder,
               std::vector<Decoding>& decodings);
/// The main part of a DOCX, which most programs name word/document.xml; empty if the archive is none.
std::string main_document(const ZipArchive& archive);

/// "a/b/../c.xhtml#x" -> "a/c.xhtml", percent-decoded.
std::string resolved_path(std::string_view folder, std::string_view reference);

}  // namespace unroll::formats
