#include "client/documents/formats/extract.h"

#include <algorithm>

#include "client/documents/formats/markup.h"
#include "client/documents/formats/pdf.h"
#include "client/documents/formats/plain_text.h"
#include "client/documents/formats/rtf.h"
#include "client/documents/kind.h"

namespace unroll::formats {
namespace {

constexpr int kDeepest = 2;  ///< A book in an archive.

void note_encoding(const Decoding& decoding, DocumentText& document) {
  if (decoding.encoding == "UTF-8") return;
  document.notes.insert(document.notes.begin(),
                        decoding.guessed
                            ? "guessed the encoding " + decoding.encoding + " (--encoding names another one)"
                            : "read as " + decoding.encoding);
}

DocumentText extract_text(std::string_view bytes, const DocumentLook& look, const Options& options) {
  const bool markup = look.kind == DocumentKind::kHtml || look.kind == DocumentKind::kXml;
  const Decoding decoding = decode(bytes, markup ? declared_in_markup(bytes) : "", options.encoding);
  TextBuilder builder(options.keep_layout);
  builder.begin_member("", &decoding);
  std::vector<std::string> notes;
  switch (look.kind) {
    case DocumentKind::kHtml:
      read_html(decoding, builder);
      break;
    case DocumentKind::kXml:
      if (look.what == "FictionBook")
        read_fictionbook(decoding, builder);
      else if (look.what == "TEI")
        read_tei(decoding, builder);
      else
        read_opendocument(decoding, builder);
      break;
    case DocumentKind::kMarkdown:
      read_markdown(decoding, options, builder);
      break;
    default:
      notes = read_plain_text(decoding, options, builder);
  }
  DocumentText document = builder.finish(look.what);
  document.notes.insert(document.notes.begin(), notes.begin(), notes.end());
  note_encoding(decoding, document);
  return document;
}

/// Appends `part` as a section of `whole`.
void append(DocumentText& whole, const std::string& name, DocumentText part) {
  if (!whole.text.empty()) whole.text += "\n";
  const std::uint64_t at = whole.text.size(), member = whole.map.members.size();
  whole.map.sections.push_back({name, 1, at});
  for (Section& section : part.map.sections)
    whole.map.sections.push_back({std::move(section.title), section.level + 1, section.start + at});
  for (const std::string& inner : part.map.members)
    whole.map.members.push_back(inner.empty() ? name : name + "/" + inner);
  for (SourceRun run : part.map.runs) {
    run.text += at;
    run.member += member;
    whole.map.runs.push_back(run);
  }
  for (const std::string& note : part.notes) whole.notes.push_back(name + ": " + note);
  whole.text += part.text;
  if (whole.text.size() > kMostTextBytes)
    throw Unreadable("holds too much text; unpack it, and name the files in it");
}

}  // namespace

DocumentText read_members(const ZipArchive& archive, const Options& options, int depth) {
  if (depth >= kDeepest) throw Unreadable("holds archives in archives; unpack it first");
  DocumentText whole;
  whole.format = "zip archive";
  std::vector<std::string> names = archive.names();
  std::ranges::sort(names);
  std::size_t left_out = 0;
  for (const std::string& name : names) {
    try {
      DocumentText part = extract(archive.member(name), name, options, depth + 1);
      if (names.size() == 1) return part;
      if (!part.text.empty()) append(whole, name, std::move(part));
    } catch (const Unreadable& error) {
      if (names.size() == 1) throw;
      ++left_out;
      if (left_out <= 3) whole.notes.push_back(name + " " + error.what() + "; left out");
    }
  }
  if (left_out > 3) whole.notes.push_back("left out " + std::to_string(left_out) + " members in all");
  if (whole.text.empty()) throw Unreadable("is a zip archive without text; name another file");
  return whole;
}

DocumentText extract(std::string_view bytes, const std::string& name, const Options& options, int depth) {
  const DocumentLook look = look_at_kind(bytes.substr(0, kLookedAtBytes), name);
  switch (look.kind) {
    case DocumentKind::kRefused:
      throw Unreadable("is " + look.what + "; " + look.advice);
    case DocumentKind::kZip:
      return read_zip(bytes, options, depth);
    case DocumentKind::kRtf:
      return read_rtf(bytes, options);
    case DocumentKind::kPdf:
      if (!options.pdf_layout) throw Unreadable("is a PDF, which is not read here");
      return read_pdf_layout(options.pdf_layout(bytes), options);
    default:
      return extract_text(bytes, look, options);
  }
}

}  // namespace unroll::formats
