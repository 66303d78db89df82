// HTML and XML as events, by libxml2: nothing is loaded, no entity is expanded but the predefined ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/documents/formats/decoding.h"
#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

class Attributes {
 public:
  void add(std::string name, std::string value) { list_.emplace_back(std::move(name), std::move(value)); }
  /// By its name without a prefix; empty if it is missing.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

/// Names are in lower case for HTML; in both without a prefix.
class MarkupHandler {
 public:
  virtual ~MarkupHandler() = default;
  virtual void start(std::string_view name, const Attributes& attributes) = 0;
  virtual void end(std::string_view name) = 0;
  /// `offset`: in the parsed text; close to it if the text holds entities.
  virtual void text(std::string_view utf8, std::uint64_t offset) = 0;
};

/// UTF-8. Damaged markup is read as far as possible.
void parse_html(std::string_view text, MarkupHandler& handler);
void parse_xml(std::string_view text, MarkupHandler& handler);
/// The text of "&eacute;" or "&#233;"; empty if HTML has no such entity.
std::string text_of_entity(std::string_view entity);

/// A page of HTML, or a chapter of an EPUB. Chapters begin at headings.
void read_html(const Decoding& decoding, TextBuilder& builder);
void read_fictionbook(const Decoding& decoding, TextBuilder& builder);
/// XML of the Text Encoding Initiative.
void read_tei(const Decoding& decoding, TextBuilder& builder);
/// content.xml of an ODT, or a flat document.
void read_opendocument(const Decoding& decoding, TextBuilder& builder);

}  // namespace unroll::formats
