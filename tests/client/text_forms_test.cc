// Readers of text with what people have: declarations that are wrong, encodings without a mark, books of
// Project Gutenberg, running heads, columns.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/documents/formats/extract.h"
#include "client/documents/formats/pdf.h"
#include "client/documents/kind.h"
#include "client/documents/text_look.h"
#include "tests/client/documents.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;
using testing::Not;

DocumentText read(const std::string& bytes, const std::string& name) {
  return formats::extract(bytes, name, {});
}

std::string text_of(const std::string& bytes, const std::string& name) {
  return read(bytes, name).text;
}

// --- Encodings

TEST(Encodings, ADeclarationThatIsWrongDoesNotCount) {
  const auto page = [](const std::string& charset, const std::string& word) {
    return "<!DOCTYPE html><meta charset=\"" + charset + "\"><p>" + word + "</p>";
  };
  EXPECT_EQ(text_of(page("iso-8859-1", "caf\u00E9"), "a.html"), "caf\u00E9\n") << "UTF-8";
  EXPECT_EQ(text_of(page("utf-8", "un caf\xE9 tr\xE8s fort, s'il vous pla\xEEt, gar\xE7on"), "a.html"),
            "un caf\u00E9 tr\u00E8s fort, s'il vous pla\u00EEt, gar\u00E7on\n");
  EXPECT_EQ(text_of(page("utf-16", "plain"), "a.html"), "plain\n");
  EXPECT_THAT(read(page("utf-8", "caf\u00E9"), "a.html").notes, testing::IsEmpty());
  EXPECT_EQ(text_of(page("iso-8859-1", "\x93quoted\x94"), "a.html"), "\u201Cquoted\u201D\n");
  EXPECT_EQ(text_of(page("gb2312", "\xD6\xEC\xE9\x46\xBB\xF9"), "a.html"), "\u6731\u9555\u57FA\n") << "GBK";
  EXPECT_EQ(text_of(page("x-sjis", "\x93\xFA\x96\x7B\x87\x40"), "a.html"), "\u65E5\u672C\u2460\n");
}

TEST(Encodings, WesternOnesThatNoMarkTellsAreGuessed) {
  const auto encoded = [](const std::string& e, const std::string& a, const std::string& c) {
    std::string text = "La premi" + a + "re fois que je l'ai rencontr" + e + "e, c'" + e + "tait " + "apr" +
                       a + "s le d" + e + "part du gar" + c + "on; ma m" + a + "re avait re" + c +
                       "u une lettre " + "de mon fr" + a + "re, d" + e + "cid" + e + " " + "par la mis" + a +
                       "re de l'" + e + "t" + e + " pass" + e + " " + "chez les Fran" + c + "ais.\n";
    return text + text;
  };
  const std::string expected = encoded("\u00E9", "\u00E8", "\u00E7");
  EXPECT_EQ(text_of(encoded("\x8E", "\x8F", "\x8D"), "a.txt"), expected) << "MacRoman";
  EXPECT_EQ(text_of(encoded("\x82", "\x8A", "\x87"), "a.txt"), expected) << "code page 850";
  EXPECT_EQ(text_of(encoded("\xE9", "\xE8", "\xE7"), "a.txt"), expected) << "windows-1252";
}

TEST(Encodings, JapaneseMayBeInEscapes) {
  std::string text = "\x1b$B";
  for (int i = 0; i < 20; ++i) text += "8cGZ$OG-$G$\"$k!#";
  text += "\x1b(B\n";
  EXPECT_THAT(text_of(text, "a.txt"),
              testing::StartsWith("\u543E\u8F29\u306F\u732B\u3067\u3042\u308B\u3002"));
  EXPECT_EQ(text_of("\x1b[1mbold\x1b[0m\n", "a.txt"), "\x1b[1mbold\x1b[0m\n") << "colours of a log";
}

/// In units of two bytes.
std::string units(const std::u16string& text, bool big) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
    bytes += {big ? high : low, big ? low : high};
  }
  return bytes;
}

TEST(Encodings, Utf16OfAnyScriptNeedsNoMark) {
  for (const std::u16string& text :
       {std::u16string(
            u"\u041E\u043D \u043F\u0440\u0438\u0448\u0451\u043B \u0434\u043E\u043C\u043E\u0439.\n"),
        std::u16string(
            u"\u56F3\u66F8\u9928\u3067\u672C\u3092\u8AAD\u3080\u3002\n\u7D42\u308F\u308A\u3002\n")}) {
    EXPECT_EQ(look_at_text(units(text, false)).unicode, "UTF-16LE");
    EXPECT_EQ(look_at_text(units(text, true)).unicode, "UTF-16BE");
  }
  std::string records = "one ";
  for (int i = 0; i < 50; ++i) records += std::string(" \0", 2) + "record of plain text ";
  EXPECT_EQ(look_at_text(records).unicode, "") << "text with a few NULs";
}

TEST(MarkdownForms, EntitiesPropertiesAndNotes) {
  EXPECT_EQ(
      text_of("+++\ntitle = 'x'\n+++\nCaf&eacute; &#8217; &#x41;[^1] &unknown;\n\n[^1]: The note `[^a]`.\n",
              "x.md"),
      "Caf\u00E9 \u2019 A &unknown;\n\nThe note [^a].\n");
  EXPECT_EQ(text_of("---\n\nFirst.\n\n---\n\nSecond.\n", "x.md"), "First.\n\nSecond.\n") << "rules";
  EXPECT_EQ(text_of("---\ntitle: x\n...\nFirst.\n", "x.md"), "First.\n");
}

TEST(GutenbergForms, HeadersOfAllTimesAreDropped) {
  const std::string book = book_text();
  for (const auto& [before, after] : std::vector<std::pair<std::string, std::string>>{
           {"x\n\n***START OF THE PROJECT GUTENBERG EBOOK A BOOK***\n\n\nE-text prepared by A\nand B\n\n\n",
            "\n\n***END OF THE PROJECT GUTENBERG EBOOK A BOOK***\n\nLicense.\n"},
           {"x\n\n*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK WITH A LONG\nTITLE ***\n\nProduced by "
            "A\n\n",
            "\n\nEnd of the Project Gutenberg EBook of A Book, by B\n\n*** END OF THIS PROJECT GUTENBERG "
            "EBOOK X "
            "***\n\nLicense.\n"},
           {"**The Project Gutenberg Etext of X**\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN "
            "ETEXTS*Ver.04.29.93*END*\n\n\n",
            "\n\nEnd of Project Gutenberg Etext X\n"}})
    EXPECT_EQ(text_of(before + book + after, "x.txt"), book) << before;
  EXPECT_EQ(text_of("Project Gutenberg is a library.\n", "x.txt"), "Project Gutenberg is a library.\n");
}

TEST(PlainTextForms, AWordThatIsKnownWholeLosesItsHyphen) {
  formats::Options join;
  join.unwrap = true;
  EXPECT_EQ(
      formats::extract("The newspaper has news on paper. A news-\npaper is read; a soft\u00AD\nware too.",
                       "x.txt", join)
          .text,
      "The newspaper has news on paper. A newspaper is read; a software too.\n");
}

/// Pages of 20 lines, each with a head after it. The sentences of a page end with it, or none does.
std::string pages(const std::vector<std::string>& heads, bool within_sentences) {
  std::string text;
  for (const std::string& head : heads) {
    for (int line = 0; line < 20; ++line)
      text += "the keeper of the lamp saw the ships from the tower and counted them\n";
    if (!within_sentences) text.insert(text.size() - 1, ".");
    text += "\n" + head + "\n\n";
  }
  return text;
}

TEST(PlainTextForms, RunningHeadsDoNotDivideSentences) {
  std::vector<std::string> heads;
  for (int i = 11; i < 18; ++i) heads.push_back("THE HISTORY OF LAMPS   " + std::to_string(i));
  const DocumentText document = read(pages(heads, true), "x.txt");
  EXPECT_THAT(document.text, Not(HasSubstr("\n\nTHE HISTORY")));
  EXPECT_EQ(std::count(document.text.begin(), document.text.end(), '\n'), 1);
  EXPECT_THAT(document.notes, testing::Contains(HasSubstr("7 running heads and page numbers")));
}

TEST(PlainTextForms, ANumberThatDoesNotFollowIsNoPage) {
  std::string text = pages({"11", "12", "13", "1984", "14", "15", "16"}, true);
  EXPECT_THAT(text_of(text, "x.txt"), HasSubstr("\n\n1984\n\n"));
  EXPECT_THAT(text_of(text, "x.txt"), Not(HasSubstr("\n\n16")));
}

TEST(PlainTextForms, VerseOfEvenLinesKeepsThem) {
  std::string verse;
  for (int i = 0; i < 12; ++i)
    verse +=
        "Of Mans First Disobedience, and the ripe Fruit\nOf that Forbidden Tree, whose mortal tast\n"
        "Brought Death into the World, and all our woe,\nWith loss of Eden, till one greater Man we see\n";
  EXPECT_FALSE(wrapped_width(verse));
  std::string prose = verse;
  for (const std::string word : {"Of", "Brought", "With"})
    for (std::size_t at = 0; (at = prose.find("\n" + word, at)) != std::string::npos; ++at)
      prose[at + 1] |= 0x20;
  EXPECT_TRUE(wrapped_width(prose)) << "the same lines in lower case";
}

TEST(PlainTextForms, NumbersOfShortSectionsAreKept) {
  std::vector<std::string> numbers, psalms;
  for (int i = 1; i < 8; ++i) {
    numbers.push_back(std::to_string(i) + ".");
    psalms.push_back("PSALM " + std::to_string(i));
  }
  EXPECT_THAT(text_of(pages(numbers, false), "x.txt"), HasSubstr("\n\n7."));
  EXPECT_THAT(text_of(pages(psalms, false), "x.txt"), HasSubstr("\n\nPSALM 7"));
}

// --- PDF

std::string pdf_line(double left, double top, double right, double bottom, const std::string& text) {
  const auto n = [](double x) { return std::to_string(x); };
  return "<line xMin='" + n(left) + "' yMin='" + n(top) + "' xMax='" + n(right) + "' yMax='" + n(bottom) +
         "'><word>" + text + "</word></line>";
}

TEST(PdfForms, ParagraphsGoOnAcrossColumns) {
  std::string layout = "<page width='612' height='792'><block>";
  for (const double left : {72.0, 320.0}) {
    for (int i = 0; i < 30; ++i) {
      const double top = 100 + 12 * i;
      // One paragraph from the tenth line of the first column on; sentences end at ends of lines.
      const bool begins = i == 10 && left < 100;
      layout += pdf_line(left + (begins ? 14 : 0), top, left + 220, top + 10,
                         begins ? "Indented" : "sentences end.");
    }
  }
  const std::string text = formats::read_pdf_layout(layout + "</block></page>", {}).text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_THAT(text, HasSubstr("\n\nIndented"));
}

TEST(PdfForms, ASentenceGoesOnInAColumnThatBeginsLower) {
  std::string layout = "<page width='612' height='792'><block>";
  for (int i = 0; i < 20; ++i) layout += pdf_line(72, 100 + 12 * i, 290, 110 + 12 * i, "words of a sentence");
  for (int i = 0; i < 20; ++i)
    layout += pdf_line(320, 400 + 12 * i, 540, 410 + 12 * i, "words of a sentence");
  const std::string text = formats::read_pdf_layout(layout + "</block></page>", {}).text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

/// The right edge is where most lines end, not the longest of them.
TEST(PdfForms, RaggedLinesAreOneParagraph) {
  std::string layout = "<page width='612' height='792'><block>";
  for (int i = 0; i < 30; ++i) {
    const double right = i == 12 ? 600 : 480 + 20 * (i % 4);
    layout += pdf_line(72, 100 + 12 * i, right, 110 + 12 * i,
                       "characteristically, all of the lines end where sentences of the text end too.");
  }
  const std::string text = formats::read_pdf_layout(layout + "</block></page>", {}).text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST(PdfForms, WhatPagesRepeatAtTheirEdgesIsDropped) {
  std::string layout;
  for (int page = 1; page <= 4; ++page) {
    layout += "<page width='612' height='792'><block>" +
              pdf_line(72, 30, 300, 40, "A BOOK OF LAMPS " + std::to_string(page));
    if (page < 3) layout += pdf_line(72, 45, 300, 55, "Draft");
    for (int i = 0; i < 30; ++i)
      layout += pdf_line(72, 100 + 12 * i, 540, 110 + 12 * i, "words of a sentence that goes on");
  }
  const std::string text = formats::read_pdf_layout(layout, {}).text;
  EXPECT_THAT(text, Not(HasSubstr("LAMPS")));
  EXPECT_THAT(text, HasSubstr("Draft")) << "two pages only";
}

TEST(PdfForms, InitialsBelongToTheirWord) {
  std::string layout = "<page width='612' height='792'><block>" + pdf_line(72, 100, 100, 124, "T") +
                       pdf_line(102, 100, 540, 110, "HE keeper of the lamp that the ships saw") +
                       pdf_line(102, 112, 540, 122, "from the sea, in the night");
  for (int i = 2; i < 30; ++i)
    layout += pdf_line(72, 100 + 12 * i, 540, 110 + 12 * i, "and the rest of it went on");
  const DocumentText document = formats::read_pdf_layout(layout + "</block></page>", {});
  EXPECT_THAT(document.text, testing::StartsWith("THE keeper of the lamp that the ships saw from the sea"));
  EXPECT_TRUE(document.map.sections.empty());
}

// --- What a file is

TEST(Kinds, WordsAtTheBeginningAreNoMagic) {
  for (const std::string text : {"ID3 tags are old.", "GGUF is a format.", "PAR1 is a mark.", "The ftyp box.",
                                 "A PDF begins with %PDF-1.4 and a line end."})
    EXPECT_EQ(look_at_kind(text, "x.txt").kind, DocumentKind::kText) << text;
  EXPECT_EQ(look_at_kind(std::string("\0\0\0\x18"
                                     "ftypmp42",
                                     12),
                         "x")
                .what,
            "MP4 audio or video");
  EXPECT_EQ(look_at_kind(std::string("ID3\3\0\0", 6), "x").what, "MP3 audio");
}

}  // namespace
}  // namespace unroll::test
