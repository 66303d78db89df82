// EPUB 2 and 3: the spine's documents in order; titles of chapters from the table of contents if a chapter
// has no heading of its own.
#include <algorithm>
#include <array>

#include "client/documents/formats/archive.h"
#include "client/documents/formats/markup.h"
#include "client/documents/kind.h"

namespace unroll::formats {
namespace {

constexpr std::string_view kNcx = "application/x-dtbncx+xml";

struct Item {
  std::string path, type, properties;
};

/// The package document: its manifest, spine and guide.
struct Package : MarkupHandler {
  explicit Package(std::string folder) : folder(std::move(folder)) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "item") {
      const std::string id(attributes.get("id"));
      order.push_back(id);
      items[id] = {resolved_path(folder, attributes.get("href")), std::string(attributes.get("media-type")),
                   std::string(attributes.get("properties"))};
    } else if (name == "itemref") {
      (attributes.get("linear") == "no" ? aside : spine).emplace_back(attributes.get("idref"));
    } else if (name == "spine") {
      toc = attributes.get("toc");
    } else if (name == "reference" && attributes.get("type") == "toc" &&
               attributes.get("href").find('#') == std::string_view::npos) {
      contents_page = resolved_path(folder, attributes.get("href"));
    }
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}

  /// Ids of what to read. Books without a spine in reading order have it in another one.
  const std::vector<std::string>& chapters() const {
    return !spine.empty() ? spine : !aside.empty() ? aside : order;
  }

  std::string folder, toc;
  std::string contents_page;  ///< Of EPUB 2, for readers.
  std::map<std::string, Item> items;
  std::vector<std::string> order, spine, aside;
};

/// The path of the package document.
struct Container : MarkupHandler {
  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "rootfile" && path.empty()) path = resolved_path("", attributes.get("full-path"));
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}
  std::string path;
};

/// Encrypted members. Obfuscated fonts are not of interest.
struct Encryption : MarkupHandler {
  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "CipherReference") paths.push_back(resolved_path("", attributes.get("URI")));
  }
  void end(std::string_view) override {}
  void text(std::string_view, std::uint64_t) override {}
  std::vector<std::string> paths;
};

/// Titles by document, from toc.ncx (navLabel, content) or from nav.xhtml (a).
struct Contents : MarkupHandler {
  explicit Contents(std::string folder) : folder(std::move(folder)) {}

  void start(std::string_view name, const Attributes& attributes) override {
    if (name == "navLabel" || name == "navlabel") label.clear();
    if (name == "a") {
      label.clear();
      target = resolved_path(folder, attributes.get("href"));
    }
    if (name == "content") titles.emplace(resolved_path(folder, attributes.get("src")), label);
  }
  void end(std::string_view name) override {
    if (name == "a" && !target.empty()) titles.emplace(target, label);
  }
  void text(std::string_view utf8, std::uint64_t) override { label += utf8; }

  std::string folder, label, target;
  std::map<std::string, std::string> titles;  ///< The first of each document.
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string utf8_of(std::string_view markup) {
  return decode(markup, declared_in_markup(markup), "").text;
}

/// The path of the package document; some books name a wrong one.
std::string package_of(const ZipArchive& archive) {
  Container container;
  parse_xml(utf8_of(archive.member("META-INF/container.xml")), container);
  if (archive.has(container.path)) return container.path;
  for (const std::string& name : archive.names()) {
    if (has_ending(name, ".opf")) return name;
  }
  throw Unreadable("is a damaged EPUB: its package document is missing; create or download it again");
}

bool may_be_chapter(std::string_view type) {
  if (type.empty()) return true;
  for (const std::string_view part : {"html", "dtbook", "oeb1-document", "/xml"}) {
    if (type.find(part) != std::string_view::npos) return true;
  }
  return false;
}

/// A page of links to the chapters.
bool is_list_of_links(std::string_view html) {
  constexpr std::size_t kMostBytes = std::size_t{64} << 10, kFewest = 3;
  std::size_t links = 0;
  for (std::size_t at = 0; (at = html.find("<a ", at)) != std::string_view::npos; ++at) ++links;
  return links >= kFewest && html.size() < kMostBytes;
}

bool has_heading(std::string_view html) {
  for (const std::string_view tag : {"<h1", "<h2", "<h3", "<h4", "<H1", "<H2"}) {
    if (html.find(tag) != std::string_view::npos) return true;
  }
  return false;
}

std::map<std::string, std::string> titles_of(const ZipArchive& archive, const Package& package) {
  const auto read = [&](const Item& item, bool html) {
    Contents contents(folder_of(item.path));
    const std::string text = utf8_of(archive.member(item.path));
    html ? parse_html(text, contents) : parse_xml(text, contents);
    return contents.titles;
  };
  for (const auto& [id, item] : package.items) {
    if (item.properties.find("nav") != std::string::npos && archive.has(item.path)) return read(item, true);
  }
  for (const auto& [id, item] : package.items) {
    if ((id == package.toc || item.type == kNcx) && archive.has(item.path)) return read(item, false);
  }
  return {};
}

}  // namespace

void read_epub(const ZipArchive& archive, const Options& options, TextBuilder& builder,
               std::vector<Decoding>& decodings) {
  const std::string path = package_of(archive);
  Package package(folder_of(path));
  parse_xml(utf8_of(archive.member(path)), package);
  Encryption encryption;
  parse_xml(utf8_of(archive.member("META-INF/encryption.xml")), encryption);
  std::vector<const Item*> chapters;
  std::size_t missing = 0;
  for (const std::string& id : package.chapters()) {
    const auto found = package.items.find(id);
    if (found == package.items.end()) continue;
    const Item& item = found->second;
    if (std::ranges::find(encryption.paths, item.path) != encryption.paths.end())
      throw Unreadable("is a DRM-protected EPUB; unroll cannot read it");
    if (!may_be_chapter(item.type)) continue;
    const bool contents = item.properties.find("nav") != std::string::npos ||
                          (item.path == package.contents_page && is_list_of_links(archive.member(item.path)));
    if (contents && !options.keep_layout) continue;
    if (archive.has(item.path))
      chapters.push_back(&item);
    else
      ++missing;
  }
  if (chapters.empty())
    throw Unreadable("is a damaged EPUB: it names no chapters that it holds; create or download it again");
  if (missing > 0) builder.note("lacks " + std::to_string(missing) + " of the documents that it names");
  const auto titles = titles_of(archive, package);
  decodings.reserve(chapters.size());  // the builder points at them
  for (const Item* item : chapters) {
    const std::string_view bytes = archive.member(item->path);
    decodings.push_back(decode(bytes, declared_in_markup(bytes), ""));
    const Decoding& decoding = decodings.back();
    builder.begin_member(item->path, &decoding);
    const auto title = titles.find(item->path);
    if (title != titles.end() && !has_heading(decoding.text)) builder.section(title->second, 1);
    read_html(decoding, builder);
  }
}

}  // namespace unroll::formats
