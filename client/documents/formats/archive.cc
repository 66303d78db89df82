#include "client/documents/formats/archive.h"

#include <algorithm>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "client/documents/formats/extract.h"
#include "client/documents/formats/markup.h"
#include "client/documents/kind.h"

namespace unroll::formats {
namespace {

constexpr std::size_t kMostMembers = 20'000;
constexpr std::size_t kMostMemberBytes = std::size_t{128} << 20;
/// All members together; the readers take little besides.
constexpr std::size_t kMostBytes = std::size_t{256} << 20;

using Archive = std::unique_ptr<archive, decltype(&::archive_read_free)>;

/// Images, sounds, fonts and what systems add are not decompressed.
bool may_hold_text(std::string_view name) {
  // What macOS and Windows add to archives.
  if (name.starts_with("__MACOSX/") || has_ending(name, ".ds_store") || has_ending(name, "thumbs.db"))
    return false;
  for (const char* ending :
       {".jpg",  ".jpeg",  ".png", ".gif", ".svg", ".webp", ".mp3", ".mp4", ".ogg",  ".ttf", ".otf",
        ".woff", ".woff2", ".css", ".js",  ".emf", ".wmf",  ".bin", ".tif", ".tiff", ".bmp"}) {
    if (has_ending(name, ending)) return false;
  }
  return !name.ends_with('/');
}

std::string read_member(archive* reader) {
  std::string content;
  std::string buffer(std::size_t{64} << 10, '\0');
  for (;;) {
    const la_ssize_t got = ::archive_read_data(reader, buffer.data(), buffer.size());
    if (got == 0) return content;
    if (got < 0)
      throw Unreadable("is damaged (a member cannot be decompressed); create or download it again");
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > kMostMemberBytes)
      throw Unreadable("holds a member of more than " + std::to_string(kMostMemberBytes >> 20) +
                       " MiB, which is the limit; unpack it, and name the files in it");
  }
}

}  // namespace

ZipArchive::ZipArchive(std::string_view bytes) {
  const Archive reader(::archive_read_new(), &::archive_read_free);
  if (!reader) throw std::bad_alloc();
  ::archive_read_support_format_zip(reader.get());
  if (::archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
    throw Unreadable("is damaged (no zip archive can be read); create or download it again");
  std::size_t total = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    const int result = ::archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) break;
    if (result < ARCHIVE_WARN)
      throw Unreadable("is damaged (its directory is incomplete); create or download it again");
    const char* path = ::archive_entry_pathname(entry);
    if (path == nullptr || !may_hold_text(path)) continue;
    if (::archive_entry_is_encrypted(entry) != 0) throw Unreadable("is encrypted; decrypt it first");
    if (names_.size() >= kMostMembers)
      throw Unreadable("holds more than " + std::to_string(kMostMembers) +
                       " members, which is the limit; unpack it");
    std::string name = path;
    std::string content = read_member(reader.get());
    total += content.size();
    if (total > kMostBytes)
      throw Unreadable("unpacks to more than " + std::to_string(kMostBytes >> 20) +
                       " MiB, which is the limit; unpack it, and name the files in it");
    if (members_.emplace(name, std::move(content)).second) names_.push_back(std::move(name));
  }
  if (names_.empty()) throw Unreadable("is a zip archive without text; name another file");
}

std::string_view ZipArchive::member(const std::string& name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? std::string_view() : std::string_view(found->second);
}

DocumentText read_zip(std::string_view bytes, const Options& options, int depth) {
  const ZipArchive archive(bytes);
  TextBuilder builder(options.keep_layout);
  std::vector<Decoding> decodings;
  if (archive.has("META-INF/container.xml") ||
      archive.member("mimetype").starts_with("application/epub+zip")) {
    read_epub(archive, options, builder, decodings);
    return builder.finish("EPUB");
  }
  if (const std::string document = main_document(archive); !document.empty()) {
    read_docx(archive, document, builder, decodings);
    return builder.finish("DOCX");
  }
  if (archive.has("content.xml")) {
    const std::string_view kind = archive.member("mimetype");
    if (!kind.empty() && kind.find("opendocument.text") == std::string_view::npos)
      throw Unreadable("is an OpenDocument file without prose, such as a table; save it as text first");
    const std::string_view manifest = archive.member("META-INF/manifest.xml");
    if (manifest.find("encryption-data") != std::string_view::npos)
      throw Unreadable("is an encrypted OpenDocument file; save it without a password");
    decodings.reserve(1);
    decodings.push_back(decode(archive.member("content.xml"), "UTF-8", ""));
    builder.begin_member("content.xml", &decodings.back());
    read_opendocument(decodings.back(), builder);
    return builder.finish("ODT");
  }
  if (archive.has("encrypted-package"))
    throw Unreadable("is an encrypted OpenDocument file; save it without a password");
  if (archive.has("xl/workbook.xml")) throw Unreadable("is an Excel workbook; save it as CSV or text");
  if (archive.has("Index/Document.iwa"))
    throw Unreadable("is an Apple Pages document; export it as DOCX or EPUB");
  if (archive.has("ppt/presentation.xml"))
    throw Unreadable("is a PowerPoint presentation; save its outline as text");
  return read_members(archive, options, depth);
}

std::string resolved_path(std::string_view folder, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  std::string decoded;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return std::string_view("0123456789abcdef").find(static_cast<char>(reference[at] | 0x20));
    };
    if (reference[i] == '%' && i + 2 < reference.size() && digit(i + 1) < 16 && digit(i + 2) < 16) {
      decoded += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      decoded += reference[i];
    }
  }
  std::vector<std::string> parts;
  const std::string whole = decoded.starts_with('/') ? decoded : std::string(folder) + "/" + decoded;
  for (std::size_t at = 0; at <= whole.size();) {
    const std::size_t end = std::min(whole.find('/', at), whole.size());
    const std::string part = whole.substr(at, end - at);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    at = end + 1;
  }
  std::string path;
  for (const std::string& part : parts) path += (path.empty() ? "" : "/") + part;
  return path;
}

}  // namespace unroll::formats
