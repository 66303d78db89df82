// One short book in many forms, for tests.
#pragma once

#include <string>
#include <vector>

#include "tests/client/zip_bytes.h"

namespace unroll::test {

/// Two chapters: a heading and paragraphs each. Other letters than ASCII, a compound with a hyphen.
inline const std::vector<std::pair<std::string, std::vector<std::string>>>& book() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> chapters = {
      {"Chapter 1",
       {"The lighthouse keeper climbed the winding stairs each evening, carrying oil for the great lamp and "
        "bread for "
        "himself, and he counted the steps although he had known their number for thirty years.",
        "Nobody in the village of Señora Peña remembered a well-known storm like that of the year before, "
        "when two "
        "ships were lost upon the rocks and the whole neighbourhood came down to the beach at dawn."}},
      {"Chapter 2",
       {"In the spring a letter arrived from the capital, sealed with green wax, asking whether the old "
        "tower might be "
        "sold, and whether its keeper would consider a pension in return for his long service.",
        "He read it twice, folded it carefully, and used it to light the lamp."}}};
  return chapters;
}

/// Paragraphs separated by blank lines.
inline std::string book_text() {
  std::string text;
  for (const auto& [heading, paragraphs] : book()) {
    text += (text.empty() ? "" : "\n") + heading + "\n";
    for (const std::string& paragraph : paragraphs) text += "\n" + paragraph + "\n";
  }
  return text;
}

/// The same with lines of at most `width` bytes. `hyphenate`: longer words are divided to fill the lines.
inline std::string wrapped(const std::string& text, std::size_t width, bool hyphenate = false) {
  std::string result, line;
  const auto end_line = [&] {
    result += line + "\n";
    line.clear();
  };
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\n') {
      end_line();
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    std::string word = text.substr(at, end - at);
    at = end < text.size() && text[end] == ' ' ? end + 1 : end;
    const std::size_t space = line.empty() ? 0 : 1;
    if (line.size() + space + word.size() > width) {
      const std::size_t room = width - std::min(width, line.size() + space + 1);
      const bool plain = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
      if (hyphenate && plain && room >= 3 && word.size() >= room + 3) {
        line += (space ? " " : "") + word.substr(0, room) + "-";
        word.erase(0, room);
      }
      end_line();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) end_line();
  return result;
}

inline std::string book_html(const std::string& charset = "utf-8") {
  std::string html = "<!DOCTYPE html><html><head><meta charset=\"" + charset +
                     "\"><title>Not text</title><style>p { margin: 0 }</style></head><body>\n";
  for (const auto& [heading, paragraphs] : book()) {
    html += "<h2>" + heading + "</h2>\n";
    for (const std::string& paragraph : paragraphs) html += "<p>" + wrapped(paragraph, 60) + "</p>\n";
  }
  return html + "<script>var notText = 1 < 2;</script></body></html>\n";
}

/// The spine's order is not that of the names, nor that of the archive.
inline std::string book_epub(const std::string& encryption = "") {
  const auto chapter = [](std::size_t i) {
    std::string html =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head>"
        "<title>x</title></head><body><h1>" +
        book()[i].first + "</h1>";
    for (const std::string& paragraph : book()[i].second)
      html += "<p>" + paragraph.substr(0, 20) + "<span class=\"pagenum\">[17]</span>" + paragraph.substr(20) +
              "</p>";
    return html + "</body></html>";
  };
  std::vector<std::pair<std::string, std::string>> members = {
      {"mimetype", "application/epub+zip"},
      {"META-INF/container.xml",
       "<container xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"><rootfiles><rootfile "
       "full-path=\"OEBPS/book.opf\"/></rootfiles></container>"},
      {"OEBPS/a second.xhtml", chapter(1)},
      {"OEBPS/nav.xhtml", "<html><body><nav><a href=\"z.xhtml\">One</a></nav></body></html>"},
      {"OEBPS/z.xhtml", chapter(0)},
      {"OEBPS/book.opf",
       "<package xmlns:opf=\"x\"><manifest>"
       "<item id=\"n\" href=\"nav.xhtml\" properties=\"nav\" media-type=\"application/xhtml+xml\"/>"
       "<item id=\"two\" href=\"a%20second.xhtml\" media-type=\"application/xhtml+xml\"/>"
       "<item id=\"one\" href=\"z.xhtml\" media-type=\"application/xhtml+xml\"/></manifest>"
       "<spine><itemref idref=\"n\"/><itemref idref=\"one\"/><itemref idref=\"two\"/></spine></package>"}};
  if (!encryption.empty()) members.emplace_back("META-INF/encryption.xml", encryption);
  return zip_of(members);
}

inline std::string book_docx() {
  std::string body;
  for (const auto& [heading, paragraphs] : book()) {
    body +=
        "<w:p><w:pPr><w:pStyle w:val=\"berschrift1\"/></w:pPr><w:r><w:t>" + heading + "</w:t></w:r></w:p>";
    for (const std::string& paragraph : paragraphs) {
      body += "<w:p><w:r><w:t xml:space=\"preserve\">" + paragraph.substr(0, 31) +
              "</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</"
              "w:instrText><w:t>" +
              paragraph.substr(31) + "</w:t></w:r></w:p>";
    }
  }
  return zip_of(
      {{"[Content_Types].xml", "<Types/>"},
       {"word/document.xml", "<w:document xmlns:w=\"w\"><w:body>" + body + "</w:body></w:document>"},
       {"word/styles.xml",
        "<w:styles xmlns:w=\"w\"><w:style w:styleId=\"berschrift1\"><w:name w:val=\"heading "
        "1\"/></w:style></w:styles>"},
       {"word/header1.xml", "<w:hdr xmlns:w=\"w\"><w:p><w:r><w:t>Running head</w:t></w:r></w:p></w:hdr>"}});
}

inline std::string book_odt() {
  std::string body;
  for (const auto& [heading, paragraphs] : book()) {
    body += "<text:h text:outline-level=\"1\">" + heading + "</text:h>";
    for (const std::string& paragraph : paragraphs)
      body += "<text:p>" + paragraph.substr(0, paragraph.find(' ')) + "<text:s/>" +
              paragraph.substr(paragraph.find(' ') + 1) + "</text:p>";
  }
  return zip_of({{"mimetype", "application/vnd.oasis.opendocument.text"},
                 {"content.xml",
                  "<office:document-content xmlns:office=\"o\" "
                  "xmlns:text=\"t\"><office:body><office:text><text:tracked-changes>"
                  "<text:p>gone</text:p></text:tracked-changes>" +
                      body + "</office:text></office:body></office:document-content>"}});
}

inline std::string book_fb2() {
  std::string body;
  for (const auto& [heading, paragraphs] : book()) {
    body += "<section><title><p>" + heading + "</p></title>";
    for (const std::string& paragraph : paragraphs) body += "<p>" + paragraph + "</p>";
    body += "</section>";
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<FictionBook><description><p>no "
         "text</p></description><body>" +
         body + "</body><binary id=\"x\">AAAA</binary></FictionBook>";
}

inline std::string book_rtf() {
  std::string body;
  const auto escaped = [](const std::string& text) {
    std::string rtf;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.compare(i, 2, "\xC3\xB1") == 0) {  // ñ, once as a byte and once by its number
        rtf += rtf.find("\\'f1") == std::string::npos ? "\\'f1" : "\\u241 ?";
        ++i;
      } else {
        rtf += text[i];
      }
    }
    return rtf;
  };
  for (const auto& [heading, paragraphs] : book()) {
    body += "{\\s1\\outlinelevel0 " + heading + "\\par}\n";
    for (const std::string& paragraph : paragraphs)
      body += "\\pard " + wrapped(escaped(paragraph), 50) + "\\par\n";
  }
  // Line ends mean nothing in RTF.
  for (std::size_t at = 0; (at = body.find('\n', at)) != std::string::npos;)
    body.replace(at, 1, " \r\n"), at += 3;
  return "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fcharset0 Times;}}{\\info{\\title no "
         "text}}{\\*\\generator none;}\n" +
         body + "}";
}

inline std::string book_markdown() {
  std::string text = "---\ntitle: no text\n---\n";
  for (const auto& [heading, paragraphs] : book()) {
    text += "\n## " + heading + "\n";
    for (const std::string& paragraph : paragraphs) {
      const std::size_t space = paragraph.find(' ');
      text += "\n" + wrapped("*" + paragraph.substr(0, space) + "*" + paragraph.substr(space), 70);
    }
  }
  return text;
}

/// Pages of 612 by 792 points with lines of `width` characters, a running head and a page number each.
inline std::string book_pdf(std::size_t width = 70) {
  std::vector<std::string> pages;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& [heading, paragraphs] = book()[i / 2];
    std::string text =
        i % 2 == 0 ? "/F1 18 Tf 72 680 Td (" + heading + ") Tj /F1 12 Tf 0 -40 Td" : "/F1 12 Tf 72 680 Td";
    std::string lines = wrapped(paragraphs[i % 2], width, true);
    for (std::size_t at = 0; at < lines.size();) {
      const std::size_t end = lines.find('\n', at);
      std::string line;
      for (const char c : lines.substr(at, end - at)) line += c;
      for (std::size_t n; (n = line.find("\xC3\xB1")) != std::string::npos;) line.replace(n, 2, "\\361");
      text += " (" + line + ") Tj 0 -14 Td";
      at = end + 1;
    }
    pages.push_back("BT /F1 10 Tf 72 760 Td (THE KEEPER) Tj ET BT " + text + " ET BT /F1 10 Tf 300 30 Td (" +
                    std::to_string(i + 7) + ") Tj ET");
  }
  std::string pdf = "%PDF-1.4\n";
  std::vector<std::size_t> offsets;
  const auto object = [&](const std::string& content) {
    offsets.push_back(pdf.size());
    pdf += std::to_string(offsets.size()) + " 0 obj\n" + content + "\nendobj\n";
  };
  std::string kids;
  for (std::size_t i = 0; i < pages.size(); ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  object("<</Type/Catalog/Pages 2 0 R>>");
  object("<</Type/Pages/Kids[" + kids + "]/Count " + std::to_string(pages.size()) +
         "/MediaBox[0 0 612 792]>>");
  object("<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>");
  for (std::size_t i = 0; i < pages.size(); ++i) {
    object("<</Type/Page/Parent 2 0 R/Resources<</Font<</F1 3 0 R>>>>/Contents " + std::to_string(5 + 2 * i) +
           " 0 R>>");
    object("<</Length " + std::to_string(pages[i].size()) + ">>\nstream\n" + pages[i] + "\nendstream");
  }
  const std::size_t table = pdf.size();
  pdf += "xref\n0 " + std::to_string(offsets.size() + 1) + "\n0000000000 65535 f \n";
  for (const std::size_t offset : offsets) {
    std::string digits = std::to_string(offset);
    pdf += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
  }
  return pdf + "trailer\n<</Size " + std::to_string(offsets.size() + 1) + "/Root 1 0 R>>\nstartxref\n" +
         std::to_string(table) + "\n%%EOF\n";
}

/// The text in UTF-16, little-endian, with a byte order mark.
inline std::string utf16_of(const std::string& utf8) {
  std::string result = "\xFF\xFE";
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    unsigned code = static_cast<unsigned char>(utf8[i]);
    if (code >= 0xC0) code = (code & 0x1F) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3F);
    result += static_cast<char>(code & 0xFF);
    result += static_cast<char>(code >> 8);
  }
  return result;
}

inline std::string latin1_of(const std::string& utf8) {
  std::string result;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    unsigned code = static_cast<unsigned char>(utf8[i]);
    if (code >= 0xC0) code = (code & 0x1F) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3F);
    result += static_cast<char>(code);
  }
  return result;
}

inline std::string with_crlf(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return result;
}

}  // namespace unroll::test
