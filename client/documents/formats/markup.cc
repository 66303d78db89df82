#include "client/documents/formats/markup.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <memory>

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <unicode/utf8.h>

namespace unroll::formats {
namespace {

std::string_view local_name(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

/// libxml2 is C: exceptions of the handler are kept and rethrown after the parser.
struct Parse {
  explicit Parse(MarkupHandler& handler) : handler(handler) {}

  MarkupHandler& handler;
  xmlParserCtxtPtr context = nullptr;
  std::exception_ptr failed;

  template <class Call>
  void guarded(Call call) {
    if (failed) return;
    try {
      call();
    } catch (...) {
      failed = std::current_exception();
      ::xmlStopParser(context);
    }
  }

  /// The parser has just read `length` bytes of text.
  std::uint64_t offset_before(std::size_t length) const {
    const xmlParserInputPtr input = context->input;
    if (input == nullptr) return 0;
    const auto at =
        static_cast<std::uint64_t>(input->consumed) + static_cast<std::uint64_t>(input->cur - input->base);
    return at > length ? at - length : 0;
  }
};

void on_start(void* data, const xmlChar* name, const xmlChar** attributes) {
  auto& parse = *static_cast<Parse*>(data);
  parse.guarded([&] {
    Attributes list;
    for (; attributes != nullptr && *attributes != nullptr; attributes += 2)
      list.add(std::string(view(attributes[0])), std::string(view(attributes[1])));
    parse.handler.start(local_name(view(name)), list);
  });
}

void on_end(void* data, const xmlChar* name) {
  auto& parse = *static_cast<Parse*>(data);
  parse.guarded([&] { parse.handler.end(local_name(view(name))); });
}

void on_text(void* data, const xmlChar* text, int length) {
  auto& parse = *static_cast<Parse*>(data);
  parse.guarded([&] {
    const auto size = static_cast<std::size_t>(length);
    parse.handler.text({reinterpret_cast<const char*>(text), size}, parse.offset_before(size));
  });
}

/// Entities are those of the language; a document's own are not declared, and so not expanded.
xmlEntityPtr on_entity(void*, const xmlChar* name) {
  return ::xmlGetPredefinedEntity(name);
}

xmlSAXHandler handlers() {
  xmlSAXHandler handlers{};
  handlers.startElement = &on_start;
  handlers.endElement = &on_end;
  handlers.characters = &on_text;
  handlers.ignorableWhitespace = &on_text;
  handlers.cdataBlock = &on_text;
  handlers.getEntity = &on_entity;
  return handlers;
}

void append_character(std::string& text, unsigned code) {
  std::array<char, 4> bytes{};
  std::int32_t length = 0;
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
  U8_APPEND_UNSAFE(bytes.data(), length, static_cast<UChar32>(code));
  text.append(bytes.data(), static_cast<std::size_t>(length));
}

using Context = std::unique_ptr<xmlParserCtxt, decltype(&::xmlFreeParserCtxt)>;

}  // namespace

std::string_view Attributes::get(std::string_view name) const {
  for (const auto& [key, value] : list_) {
    if (local_name(key) == name) return value;
  }
  return {};
}

bool Attributes::has(std::string_view name) const {
  for (const auto& [key, value] : list_) {
    if (local_name(key) == name) return true;
  }
  return false;
}

std::string text_of_entity(std::string_view entity) {
  std::string text;
  if (entity.size() < 3 || entity.front() != '&' || entity.back() != ';') return text;
  entity = entity.substr(1, entity.size() - 2);
  if (entity.front() != '#') {
    const htmlEntityDesc* found =
        ::htmlEntityLookup(reinterpret_cast<const xmlChar*>(std::string(entity).c_str()));
    if (found != nullptr) append_character(text, found->value);
    return text;
  }
  entity.remove_prefix(1);
  const bool hexadecimal = entity.starts_with('x') || entity.starts_with('X');
  if (hexadecimal) entity.remove_prefix(1);
  unsigned code = 0;
  const char* const end = entity.data() + entity.size();
  const auto [at, failed] = std::from_chars(entity.data(), end, code, hexadecimal ? 16 : 10);
  if (failed == std::errc() && at == end && !entity.empty()) append_character(text, code);
  return text;
}

// The parsers get the whole text at once. If they get it in pieces, they search the rest of a piece for an
// end again and again: a second for each 100 KB of "&".
void parse_html(std::string_view text, MarkupHandler& handler) {
  if (text.empty()) return;
  Parse parse(handler);
  const Context context(::htmlCreateMemoryParserCtxt(text.data(), static_cast<int>(text.size())),
                        &::htmlFreeParserCtxt);
  if (!context) throw std::bad_alloc();
  *context->sax = handlers();
  context->userData = &parse;
  parse.context = context.get();
  ::htmlCtxtUseOptions(context.get(), HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                          HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
  // Else a meta element would count, which the text no longer is in.
  ::xmlSwitchToEncoding(context.get(), ::xmlFindCharEncodingHandler("UTF-8"));
  context->input->encoding = ::xmlStrdup(reinterpret_cast<const xmlChar*>("UTF-8"));
  ::htmlParseDocument(context.get());
  if (parse.failed) std::rethrow_exception(parse.failed);
}

void parse_xml(std::string_view text, MarkupHandler& handler) {
  if (text.empty()) return;
  Parse parse(handler);
  const Context context(::xmlCreateMemoryParserCtxt(text.data(), static_cast<int>(text.size())),
                        &::xmlFreeParserCtxt);
  if (!context) throw std::bad_alloc();
  *context->sax = handlers();
  context->userData = &parse;
  parse.context = context.get();
  ::xmlCtxtUseOptions(context.get(), XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                         XML_PARSE_NONET | XML_PARSE_IGNORE_ENC | XML_PARSE_SAX1);
  ::xmlParseDocument(context.get());
  if (parse.failed) std::rethrow_exception(parse.failed);
}

}  // namespace unroll::formats
