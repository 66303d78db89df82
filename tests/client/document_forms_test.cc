// Readers of markup and of office files with what other programs write: odd packages, notes, text boxes,
// hidden text, code pages of RTF.
#include <clocale>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/documents/formats/extract.h"
#include "tests/client/documents.h"

namespace unroll::test {
namespace {

using formats::Options;
using formats::Unreadable;
using testing::ElementsAre;
using testing::HasSubstr;

DocumentText read(const std::string& bytes, const std::string& name, bool keep_layout = false) {
  Options options;
  options.keep_layout = keep_layout;
  return formats::extract(bytes, name, options);
}

std::string text_of(const std::string& bytes, const std::string& name) {
  return read(bytes, name).text;
}

std::string problem_of(const std::string& bytes, const std::string& name) {
  try {
    read(bytes, name);
  } catch (const Unreadable& error) {
    return error.what();
  }
  return "";
}

std::string html(const std::string& body) {
  return "<!DOCTYPE html><html><body>" + body + "</body></html>";
}

// --- HTML

TEST(HtmlForms, ReadingsOfRubyAndInvisibleElementsAreNoText) {
  EXPECT_EQ(text_of(html("<p><ruby>\u6F22\u5B57<rp>(</rp><rt>kanji</rt><rp>)</rp></ruby>\u3067</p>"
                         "<p style='color:red; Display : none'>x</p><div style='display:block'>y</div>"),
                    "a.html"),
            "\u6F22\u5B57\u3067\n\ny\n");
}

TEST(HtmlForms, MarksOfNotesAreNoWords) {
  const std::string page = html(
      "<p>One<a epub:type='noteref' href='#1'>1</a>, two<sup class='reference'>[2]</sup> and "
      "three<a class='fnanchor' href='#3'>[3]</a>.<a role='doc-backlink'>back</a> x<sup>2</sup></p>");
  EXPECT_EQ(text_of(page, "a.html"), "One, two and three. x2\n");
  EXPECT_THAT(read(page, "a.html", true).text, HasSubstr("One1"));
}

TEST(HtmlForms, TablesOfTheLayoutHoldParagraphs) {
  const std::string prose(150, 'a');
  EXPECT_EQ(
      text_of(html("<table><tr><td><p>" + prose + "</p><p>" + prose + "</p><p>Third.</p></td></tr></table>"),
              "a.html"),
      prose + " " + prose + "\n\nThird.\n");
  EXPECT_EQ(text_of(html("<table><tr><td><p>a</p></td><td><div>b</div><div>c</div></td></tr>"
                         "<tr><td></td><td>d</td></tr></table>"),
                    "a.html"),
            "a\tb c\n\td\n");
}

TEST(HtmlForms, TwoBreaksEndAParagraph) {
  EXPECT_EQ(text_of(html("a<br>b<br><br>\nc<br>\n<br/>d"), "a.html"), "a\nb\n\nc\n\nd\n");
}

TEST(HtmlForms, NoBreakSpacesAreSpacesOnlyWithinALine) {
  EXPECT_EQ(
      text_of(html("<p>&nbsp;</p><p>&nbsp;&nbsp; First,&nbsp; 10&nbsp;km.&nbsp;</p><p>\u00A0</p><p>x</p>"),
              "a.html"),
      "First, 10\u00A0km.\n\nx\n");
}

TEST(HtmlForms, SeveralNoBreakSpacesAreOneSpace) {
  EXPECT_EQ(text_of(html("<p>a&nbsp;&nbsp;b<br>&nbsp;&nbsp;c</p>"), "a.html"), "a b\nc\n");
}

TEST(HtmlForms, SpacesOfTypesettersAreSpaces) {
  const std::string page = html("<p>One\u2060\u2014two\u2009\u200Athree\u2028four.</p>");
  EXPECT_EQ(text_of(page, "a.html"), "One\u2014two three four.\n");
  EXPECT_THAT(read(page, "a.html", true).text, HasSubstr("One\u2060"));
}

TEST(HtmlForms, InitialsMayBeImages) {
  EXPECT_EQ(text_of(html("<p><img alt='T'>he <img alt='A ship'>end.</p>"), "a.html"), "The end.\n");
}

TEST(HtmlForms, LigaturesAreLetters) {
  const std::string page = html("<p>e\uFB03cient \uFB01sh</p>");
  const DocumentText document = read(page, "a.html");
  EXPECT_EQ(document.text, "efficient fish\n");
  const auto place = document.map.place_of(10, 14);
  ASSERT_TRUE(place && place->start);
  EXPECT_EQ(page.substr(*place->start, 5), "\uFB01sh");
  EXPECT_EQ(decode_document_text(encode(document)).text, document.text) << "no part is in two places";
  EXPECT_THAT(read(page, "a.html", true).text, HasSubstr("e\uFB03cient"));
}

// --- EPUB

std::string epub(const std::string& opf, const std::string& container_path = "b.opf") {
  const auto page = [](const std::string& text) { return "<html><body><p>" + text + "</p></body></html>"; };
  return zip_of({{"mimetype", "application/epub+zip"},
                 {"META-INF/container.xml", "<container><rootfiles><rootfile full-path='" + container_path +
                                                "'/></rootfiles></container>"},
                 {"b.opf", opf},
                 {"a.html", page("First.")},
                 {"b.html", page("Second.")},
                 {"toc.html", page("<a href='a.html'>A</a><a href='b.html'>B</a><a href='c.html'>C</a>")},
                 {"colophon.html",
                  "<html><body><section epub:type='colophon'><p>Set in Bembo.</p></section></body></html>"}});
}

std::string manifest(const std::vector<std::string>& names) {
  std::string items;
  for (const std::string& name : names)
    items += "<item id='" + name + "' href='" + name + "' media-type='application/xhtml+xml'/>";
  return "<manifest><item id='0css' href='x.css' media-type='text/css'/>" + items + "</manifest>";
}

TEST(EpubForms, SpinesThatAreOddAreRead) {
  EXPECT_EQ(text_of(epub("<package>" + manifest({"b.html", "a.html"}) + "</package>"), "x"),
            "Second.\n\nFirst.\n")
      << "none";
  EXPECT_EQ(text_of(epub("<package>" + manifest({"a.html", "b.html"}) +
                         "<spine><itemref idref='b.html' linear='no'/></spine></package>"),
                    "x"),
            "Second.\n");
  const DocumentText missing =
      read(epub("<package>" + manifest({"a.html", "gone.html"}) +
                "<spine><itemref idref='gone.html'/><itemref idref='a.html'/></spine></package>"),
           "x");
  EXPECT_EQ(missing.text, "First.\n");
  EXPECT_THAT(missing.notes, ElementsAre(HasSubstr("lacks 1")));
  EXPECT_EQ(
      text_of(epub("<package>" + manifest({"a.html"}) + "<spine><itemref idref='a.html'/></spine></package>",
                   "OEBPS/content.opf"),
              "x"),
      "First.\n")
      << "a wrong path of the package";
}

TEST(EpubForms, ContentsAndColophonAreNoChapters) {
  const std::string opf =
      "<package>" + manifest({"toc.html", "a.html", "colophon.html"}) +
      "<spine><itemref idref='toc.html'/><itemref idref='a.html'/><itemref idref='colophon.html'/></spine>"
      "<guide><reference type='toc' href='toc.html'/></guide></package>";
  const DocumentText document = read(epub(opf), "x");
  EXPECT_EQ(document.text, "First.\n");
  EXPECT_THAT(document.notes, ElementsAre(HasSubstr("colophon")));
  EXPECT_THAT(read(epub(opf), "x", true).text, HasSubstr("Bembo"));
}

// --- Office files

std::string docx(const std::string& body, const std::string& part = "word/document.xml") {
  return zip_of(
      {{"_rels/.rels",
        "<Relationships><Relationship "
        "Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
        "officeDocument' Target='/" +
            part + "'/></Relationships>"},
       {part, "<w:document xmlns:w='w'><w:body>" + body + "</w:body></w:document>"},
       {"word/styles.xml",
        "<w:styles xmlns:w='w'><w:style w:styleId='T1'><w:name w:val='toc 1'/></w:style></w:styles>"}});
}

std::string w(const std::string& text, const std::string& properties = "") {
  return "<w:r><w:rPr>" + properties + "</w:rPr><w:t xml:space='preserve'>" + text + "</w:t></w:r>";
}

TEST(DocxForms, TextBoxesComeAfterTheirParagraph) {
  const std::string box = "<w:r><w:drawing><wps:txbx><w:txbxContent><w:p>" + w("In a box") + "</w:p><w:p>" +
                          w("of two.") + "</w:p></w:txbxContent></wps:txbx></w:drawing></w:r>";
  EXPECT_EQ(text_of(docx("<w:p>" + w("Before ") + "<mc:AlternateContent><mc:Choice>" + box +
                         "</mc:Choice><mc:Fallback>" + box + "</mc:Fallback></mc:AlternateContent>" +
                         w("after.") + "</w:p><w:p>" + w("Next.") + "</w:p>"),
                    "x"),
            "Before after.\n\nIn a box\n\nof two.\n\nNext.\n");
}

TEST(DocxForms, HiddenTextAndContentsAreNotRead) {
  const std::string body = "<w:p><w:pPr><w:pStyle w:val='T1'/></w:pPr>" + w("Chapter 1\t7") + "</w:p><w:p>" +
                           w("Seen") + w(" hidden", "<w:vanish/>") + w(" still") +
                           w(" again", "<w:vanish w:val='0'/>") + "<w:r><w:ruby><w:rt>" + w("kan") +
                           "</w:rt><w:rubyBase>" + w(" base") + "</w:rubyBase></w:ruby></w:r></w:p>";
  EXPECT_EQ(text_of(docx(body), "x"), "Seen still again base\n");
  EXPECT_THAT(read(docx(body), "x", true).text, HasSubstr("Chapter 1"));
}

TEST(DocxForms, TheMainPartHasAnyName) {
  EXPECT_EQ(text_of(docx("<w:p>" + w("Text.") + "</w:p>", "word/document2.xml"), "x"), "Text.\n");
}

TEST(OfficeForms, PasswordsAreNamed) {
  std::string compound = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + std::string(600, '\0');
  for (const char c : std::string("EncryptedPackage")) compound += {c, '\0'};
  EXPECT_THAT(problem_of(compound, "x.docx"), HasSubstr("password"));
  EXPECT_THAT(problem_of(zip_of({{"mimetype", "application/vnd.oasis.opendocument.text"},
                                 {"META-INF/manifest.xml", "<manifest:encryption-data/>"},
                                 {"content.xml", "\x01\x02\x03"}}),
                         "x.odt"),
              HasSubstr("password"));
}

std::string odt(const std::string& body) {
  return zip_of({{"mimetype", "application/vnd.oasis.opendocument.text"},
                 {"content.xml",
                  "<office:document-content xmlns:office='o' xmlns:text='t' xmlns:draw='d' xmlns:svg='s'>"
                  "<office:body><office:text>" +
                      body + "</office:text></office:body></office:document-content>"}});
}

TEST(OdtForms, ParagraphsGoOnAfterATextBox) {
  EXPECT_EQ(
      text_of(odt("<text:p>Before <draw:frame><draw:text-box><text:p>A caption.</text:p></draw:text-box>"
                  "<svg:title>no text</svg:title></draw:frame>after.</text:p><text:p>Next.</text:p>"),
              "x"),
      "Before after.\n\nA caption.\n\nNext.\n");
}

TEST(OdtForms, NotesComeAtTheEnd) {
  const DocumentText document = read(
      odt("<text:table-of-content><text:p>Contents</text:p></text:table-of-content>"
          "<text:p>One<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>See "
          "<text:span>there</text:span>.</text:p></text:note-body></text:note> goes on.</text:p><text:p>Two "
          "<text:ruby><text:ruby-base>x</text:ruby-base><text:ruby-text>no</text:ruby-text></text:ruby>.</"
          "text:p>"),
      "x");
  EXPECT_EQ(document.text, "One goes on.\n\nTwo x.\n\nSee there.\n");
  ASSERT_EQ(document.map.sections.size(), 1U);
  EXPECT_EQ(document.map.sections[0].title, "Notes");
}

TEST(RtfForms, NotesHiddenAndDeletedTextDoNotDivideParagraphs) {
  EXPECT_EQ(
      text_of(
          "{\\rtf1\\ansi One{\\footnote \\pard First note.\\par Its end.} goes{\\v hidden}{\\deleted gone} on"
          "{\\*\\footnote Second note.}.{\\*\\unknown no}{\\xe{\\v index}}\\par Two.\\par}",
          "x"),
      "One goes on.\n\nTwo.\n\nFirst note.\n\nIts end.\n\nSecond note.\n");
}

TEST(RtfForms, CodePagesOfDosAndDefaultFontsAreRead) {
  EXPECT_EQ(text_of("{\\rtf1\\ansi\\ansicpg437 caf\\'82}", "x"), "caf\u00E9\n");
  EXPECT_EQ(text_of("{\\rtf1\\pca caf\\'82}", "x"), "caf\u00E9\n");
  EXPECT_EQ(text_of("{\\rtf1\\ansi\\ansicpg99999 caf\\'e9}", "x"), "caf\u00E9\n") << "an unknown one";
  EXPECT_EQ(
      text_of("{\\rtf1\\ansi\\ansicpg1252\\deff1{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset204 B;}}\\pard "
              "\\'cf\\'f0{\\f0 \\'e9}\\plain \\'e8}",
              "x"),
      "\u041F\u0440\u00E9\u0438\n");
}

TEST(RtfForms, RowsAreLines) {
  EXPECT_EQ(text_of("{\\rtf1 Before.\\par\\trowd\\intbl a\\cell b\\cell\\row\\trowd\\intbl c\\cell\\cell "
                    "d\\cell\\row\\pard "
                    "After.\\par}",
                    "x"),
            "Before.\n\na\tb\nc\t\td\n\nAfter.\n");
}

TEST(FictionBookForms, CellsAreApartAndMarksOfNotesAreNoText) {
  EXPECT_EQ(
      text_of(
          "<?xml version='1.0' encoding='windows-1251'?><FictionBook><body><section><p>\xC4\xEE\xEC<a "
          "type='note'>[1]</a>.</p><table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table></section>"
          "</body></FictionBook>",
          "x.fb2"),
      "\u0414\u043E\u043C.\n\na\tb\nc\n");
}

TEST(TeiForms, ProseVerseAndDramaAreText) {
  const DocumentText document = read(
      "<?xml version='1.0'?><TEI "
      "xmlns='http://www.tei-c.org/ns/1.0'><teiHeader><p>no</p></teiHeader><text><body>"
      "<div><head>Act 1</head><sp><speaker>Hamlet</speaker><l>To be, or not to be,</l><l>that is</l></sp>"
      "<p>He was <choice><sic>heer</sic><corr>here</corr></choice>,<note place='foot'><p>A note.</p></note> "
      "and the "
      "<abbr>Mr.</abbr> re<lb break='no'/>turned<lb/>home.<fw>12</fw></p></div></body></text></TEI>",
      "x.xml");
  EXPECT_EQ(document.text,
            "Act 1\n\nHamlet\nTo be, or not to be,\nthat is\n\nHe was here, and the Mr. returned home.\n\nA "
            "note.\n");
  EXPECT_EQ(document.format, "TEI");
}

TEST(TeiForms, MarksOfNotesAreNoText) {
  const auto text_with = [](const std::string& reference, bool keep_layout = false) {
    const std::string text =
        "<TEI><text><body><p>She left " + reference + " and came back.</p></body></text></TEI>";
    return read(text, "x.xml", keep_layout).text;
  };
  for (const auto* mark :
       {"<ref target='#n1'>[1]</ref>", "<ref target='#n1'>(12)</ref>", "<ref target='#n1'>*</ref>",
        "<ref target='#n1' rend='superscript'>3</ref>", "<ref target='#n1'><hi rend='sup'>3</hi></ref>"})
    EXPECT_EQ(text_with(mark), "She left and came back.\n") << mark;
  EXPECT_EQ(text_with("<ref target='#p12'>12</ref>"), "She left 12 and came back.\n") << "a page";
  EXPECT_EQ(text_with("<ref target='#one'>chapter <hi>[1]</hi></ref>"),
            "She left chapter [1] and came back.\n");
  EXPECT_EQ(text_with("<ref target='https://x.org'>[1]</ref>"), "She left [1] and came back.\n");
  EXPECT_EQ(text_with("[1]"), "She left [1] and came back.\n");
  EXPECT_EQ(text_with("<ref target='#n1'>[1]</ref>", true), "She left [1] and came back.\n");
}

TEST(Archives, NamesMayBeInUtf8) {
  std::string bytes = zip_of({{"B__cher.txt", "One.\n"}, {"a.txt", "Two.\n"}});
  for (std::size_t at = 0; (at = bytes.find("B__cher", at)) != std::string::npos;)
    bytes.replace(at + 1, 2, "\u00FC");
  // The flag of UTF-8 in the headers of members and in those of the directory.
  for (const auto& [mark, flags] : {std::pair<std::string, std::size_t>{"PK\3\4", 7}, {"PK\1\2", 9}})
    for (std::size_t at = 0; (at = bytes.find(mark, at)) != std::string::npos; ++at) bytes[at + flags] |= 8;
  ASSERT_NE(std::setlocale(LC_CTYPE, "C.UTF-8"), nullptr);
  const DocumentText document = read(bytes, "x.zip");
  std::setlocale(LC_CTYPE, "C");
  EXPECT_EQ(document.text, "One.\n\nTwo.\n");
  EXPECT_EQ(document.map.sections.at(0).title, "B\u00FCcher.txt");
}

TEST(Archives, WhatSystemsAddIsNoMember) {
  EXPECT_EQ(text_of(zip_of({{"book.txt", "Text.\n"},
                            {"__MACOSX/._book.txt", std::string("\0\5\x16\7", 4)},
                            {".DS_Store", "x"}}),
                    "x.zip"),
            "Text.\n");
}

}  // namespace
}  // namespace unroll::test
