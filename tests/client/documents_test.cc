// Readers of formats: each gives the text of the book, its sections, and where they are in the source;
// hostile files are refused.
#include "tests/client/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/documents/formats/extract.h"
#include "client/documents/formats/pdf.h"
#include "client/documents/kind.h"
#include "client/documents/text_look.h"

namespace unroll::test {
namespace {

using formats::Options;
using formats::Unreadable;
using testing::ElementsAre;
using testing::HasSubstr;

DocumentText read(const std::string& bytes, const std::string& name = "book", const Options& options = {}) {
  return formats::extract(bytes, name, options);
}

std::string problem_of(const std::string& bytes, const std::string& name = "book") {
  try {
    read(bytes, name);
  } catch (const Unreadable& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string> titles(const DocumentText& document) {
  std::vector<std::string> titles;
  for (const Section& section : document.map.sections) titles.push_back(section.title);
  return titles;
}

struct Form {
  std::string name, bytes;
};

std::ostream& operator<<(std::ostream& out, const Form& form) {
  return out << form.name;
}

class Forms : public testing::TestWithParam<Form> {};

TEST_P(Forms, GiveTheSameText) {
  const DocumentText document = read(GetParam().bytes, GetParam().name);
  EXPECT_EQ(document.text, book_text());
  EXPECT_THAT(titles(document), ElementsAre("Chapter 1", "Chapter 2"));
}

TEST_P(Forms, SurviveTheWayToTheClient) {
  const DocumentText document = read(GetParam().bytes, GetParam().name);
  const DocumentText again = decode_document_text(encode(document));
  EXPECT_EQ(again.text, document.text);
  EXPECT_EQ(again.map.runs.size(), document.map.runs.size());
  EXPECT_EQ(titles(again), titles(document));
}

TEST_P(Forms, CutAnywhereAreReadOrRefused) {
  const std::string& whole = GetParam().bytes;
  for (std::size_t part = 1; part < 32; ++part) {
    try {
      read(whole.substr(0, whole.size() * part / 32), GetParam().name);
    } catch (const Unreadable&) {
      continue;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Forms,
    testing::Values(Form{"book.html", book_html()}, Form{"latin1.html", latin1_of(book_html("iso-8859-1"))},
                    Form{"book.epub", book_epub()}, Form{"book.docx", book_docx()},
                    Form{"book.odt", book_odt()}, Form{"book.fb2", book_fb2()}, Form{"book.rtf", book_rtf()},
                    Form{"book.md", book_markdown()}, Form{"wrapped.txt", wrapped(book_text(), 72)},
                    Form{"narrow.txt", wrapped(book_text(), 45)},
                    Form{"hyphens.txt", wrapped(book_text(), 64, true)},
                    Form{"crlf.txt", with_crlf(wrapped(book_text(), 72))},
                    Form{"utf16.txt", utf16_of(wrapped(book_text(), 72))},
                    Form{"utf16-crlf.txt", utf16_of(with_crlf(wrapped(book_text(), 60)))},
                    Form{"bom.txt", "\xEF\xBB\xBF" + wrapped(book_text(), 72)},
                    Form{"book.zip", zip_of({{"book.txt", wrapped(book_text(), 72)}})}),
    [](const auto& info) {
      std::string name = info.param.name;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

TEST(Documents, PlainTextKeepsItsLinesIfTheyWereNotWrapped) {
  for (const std::string& text :
       {book_text(), std::string("a\n\n\nb\n"), std::string("roses\nare\nred\nand\nso on\n")})
    EXPECT_EQ(read(text, "x.txt").text.substr(0, text.size() - 1), text.substr(0, text.size() - 1));
  EXPECT_EQ(read("First.\r\rSecond one.\r", "x.txt").text, "First.\n\nSecond one.\n");
}

TEST(Documents, LayoutIsKeptIfWanted) {
  Options keep;
  keep.keep_layout = true;
  const std::string text = wrapped(book_text(), 64, true);
  EXPECT_EQ(read(text, "x.txt", keep).text, text);
  EXPECT_THAT(read(book_epub(), "x.epub", keep).text, HasSubstr("[17]"));
}

TEST(Documents, LinesAreJoinedIfWanted) {
  Options join;
  join.unwrap = true;
  EXPECT_EQ(
      read("a fam-\nily of well-\nknown\n  size\n\ntwo\nlines of a well-known kind", "x.txt", join).text,
      "a family of well-known\n\nsize\n\ntwo lines of a well-known kind\n");
}

TEST(Documents, CompoundsKeepTheirHyphen) {
  std::string text = wrapped(book_text(), 72);
  const std::size_t at = text.find("well-known storm");
  ASSERT_NE(at, std::string::npos);
  // Its own line end now; the same word elsewhere tells that the hyphen belongs to it.
  EXPECT_THAT(
      read("It was a well-known inn for all who came along the coast road in those\ndays, and a well-\nknown "
           "landlord kept it, who had been at sea for half of his long\nlife before he bought the house from "
           "the widow of the man who built\nit there.\n",
           "x.txt", {false, true, ""})
          .text,
      HasSubstr("a well-known landlord"));
}

TEST(Documents, PagesOfPlainTextLoseTheirNumbers) {
  std::string text;
  for (int page = 1; page <= 7; ++page) {
    std::string words;
    for (int i = 0; i < 60; ++i)
      words += "the keeper of lamp " + std::to_string(100 * page + i) + " saw ships and ";
    text += wrapped(words, 70) + "\n[Pg " + std::to_string(page) + "]\n\n";
  }
  const DocumentText document = read(text, "x.txt");
  EXPECT_EQ(document.text.find("[Pg"), std::string::npos);
  EXPECT_THAT(document.notes, testing::Contains(HasSubstr("dropped 7 page numbers")));
}

TEST(Documents, GutenbergsHeaderAndLicenseAreDropped) {
  const std::string book =
      "The Project Gutenberg eBook of X\n\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n" + book_text() +
      "\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\n\nLicense.\n";
  const DocumentText document = read(book, "x.txt");
  EXPECT_EQ(document.text, book_text());
  const auto place = document.map.place_of(0, 9);
  ASSERT_TRUE(place && place->start);
  EXPECT_EQ(book.substr(*place->start, 9), "Chapter 1");
  Options keep;
  keep.keep_layout = true;
  EXPECT_EQ(read(book, "x.txt", keep).text, book);
}

/// Each word of a document is where the map says.
void expect_words_in(const DocumentText& document, const std::string& source, std::size_t unit) {
  for (std::size_t at = 0; at < document.text.size();) {
    const std::size_t end = document.text.find_first_of(" \n", at);
    const auto place = document.map.place_of(at, end);
    ASSERT_TRUE(place && place->start && place->end) << at;
    std::string word;
    for (std::size_t i = *place->start; i < *place->end; i += unit) word += source[i];
    const std::string expected = document.text.substr(at, end - at);
    const bool plain = expected.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
    EXPECT_TRUE(!plain || word == expected) << word << " is not " << expected;
    at = document.text.find_first_not_of(" \n", end);
  }
}

TEST(Documents, PlacesAreThoseOfTheSource) {
  const std::string plain = wrapped(book_text(), 72);
  expect_words_in(read(plain, "x.txt"), plain, 1);
  const std::string wide = utf16_of(plain);
  expect_words_in(read(wide, "x.txt"), wide, 2);
  const std::string html = book_html();
  expect_words_in(read(html, "x.html"), html, 1);
  const std::string latin = latin1_of(book_html("iso-8859-1"));
  expect_words_in(read(latin, "x.html"), latin, 1);
  const DocumentText epub = read(book_epub(), "x.epub");
  const auto place = epub.map.place_of(epub.text.find("In the spring"), epub.text.find("In the spring") + 6);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->member, "OEBPS/a second.xhtml");
  EXPECT_EQ(epub.map.section_at(epub.text.find("lamp."))->title, "Chapter 2");
}

TEST(Documents, ArchivesHoldDocumentsAsSections) {
  const DocumentText document = read(zip_of({{"b.txt", "Second text.\n"},
                                             {"a.html", book_html()},
                                             {"x.png", "\x89PNG\r\n"},
                                             {"c.epub", book_epub()}}));
  EXPECT_THAT(titles(document),
              ElementsAre("a.html", "Chapter 1", "Chapter 2", "b.txt", "c.epub", "Chapter 1", "Chapter 2"));
  EXPECT_THAT(document.text, HasSubstr("Second text."));
}

TEST(Documents, MarkupIsText) {
  EXPECT_EQ(
      read("<html><body><p>a<br>b</p><pre>  x\n  y</pre><ul><li>one<li>two</ul><nav>no</nav><p hidden>no</p>"
           "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>&amp; caf&eacute; "
           "so&shy;ft")
          .text,
      "a\nb\n\n  x\n  y\n\none\n\ntwo\n\n1\t2\n3\t4\n\n& caf\xC3\xA9 soft\n");
}

TEST(Documents, RtfIsText) {
  EXPECT_EQ(
      read("{\\rtf1\\ansi\\ansicpg1251{\\fonttbl{\\f0\\fcharset204 A;}{\\f1\\fcharset0 B;}}{\\header no}\\f0 "
           "\\'cf\\'f0\\'e8\\'e2\\'e5\\'f2\\par\\f1 caf\\'e9 \\ldblquote q\\rdblquote\\u-10179 ?\\u-8704 "
           "?\\line z{\\pict 00ff}\\par}")
          .text,
      "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82\n\ncaf\xC3\xA9 "
      "\xE2\x80\x9Cq\xE2\x80\x9D\xF0\x9F\x98\x80\nz\n");
}

// --- Encodings

TEST(Documents, EncodingsAreGuessedAndCanBeNamed) {
  const std::string russian =
      "\xCC\xE5\xE4\xEB\xE5\xED\xED\xEE \xEC\xE8\xED\xF3\xF2\xFB \xF3\xEF\xEB\xFB\xE2\xE0\xFE\xF2 "
      "\xE2\xE4\xE0\xEB\xFC, "
      "\xE2\xF1\xF2\xF0\xE5\xF7\xE8 \xF1 \xED\xE8\xEC\xE8 \xF2\xFB \xF3\xE6\xE5 \xED\xE5 \xE6\xE4\xE8.\n";
  const DocumentText guessed = read(russian, "x.txt");
  EXPECT_THAT(guessed.text, HasSubstr("\xD0\x9C\xD0\xB5\xD0\xB4\xD0\xBB\xD0\xB5\xD0\xBD\xD0\xBD\xD0\xBE"));
  EXPECT_THAT(guessed.notes,
              testing::Contains(testing::AllOf(HasSubstr("guessed the encoding"), HasSubstr("--encoding"))));
  EXPECT_THAT(read("caf\xE9\n", "x.txt", {false, false, "latin1"}).text, HasSubstr("caf\xC3\xA9"));
  EXPECT_THROW(read("x", "x.txt", {false, false, "no-such"}), Unreadable);
}

// --- What is no text

TEST(Documents, OtherFilesAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {std::string("\x7f"
                   "ELF\2\1\1\0",
                   8),
       "an ELF program"},
      {std::string("\x89PNG\r\n\x1a\n", 8), "a PNG image"},
      {std::string("\xff\xd8\xff\xe0", 4), "a JPEG image"},
      {std::string("SQLite format 3\0", 16), "an SQLite database"},
      {std::string("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8), "an old Office document"},
      {zip_of({{"xl/workbook.xml", "<x/>"}}), "an Excel workbook"},
      {zip_of({{"x.png", "x"}}), "without text"}};
  for (const auto& [bytes, what] : files) EXPECT_THAT(problem_of(bytes), HasSubstr(what));
  std::string noise;
  for (unsigned i = 1, x = 7; i < 3000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  EXPECT_THAT(problem_of(noise), HasSubstr("binary data"));
  EXPECT_THAT(problem_of(std::string(2000, '\0')), HasSubstr("NUL"));
}

TEST(Documents, LogsWithAFewNulBytesAreText) {
  std::string log;
  for (int i = 0; i < 200; ++i)
    log += "2026-01-01 12:00:00 \x1b[1mservice\x1b[0m started request " + std::to_string(i) + "\n";
  log.insert(3000, std::string(500, '\0'));
  EXPECT_EQ(look_at_text(log).noise, "");
  EXPECT_EQ(look_at_text(log).unicode, "");
}

TEST(Documents, ProtectedBooksAreRefused) {
  EXPECT_THAT(
      problem_of(book_epub("<encryption><EncryptedData><CipherData><CipherReference URI=\"OEBPS/z.xhtml\"/>"
                           "</CipherData></EncryptedData></encryption>")),
      HasSubstr("DRM"));
  // Obfuscated fonts do not matter.
  EXPECT_EQ(read(book_epub("<encryption><EncryptedData><CipherData><CipherReference URI=\"OEBPS/font.otf\"/>"
                           "</CipherData></EncryptedData></encryption>"))
                .text,
            book_text());
}

// --- Whether lines were wrapped

TEST(WrappedWidth, IsKnownForProseOnly) {
  EXPECT_GE(wrapped_width(wrapped(book_text(), 72)).value_or(0), 68U);
  EXPECT_LE(wrapped_width(wrapped(book_text(), 72)).value_or(99), 72U);
  EXPECT_TRUE(wrapped_width(wrapped(book_text(), 40)));
  EXPECT_FALSE(wrapped_width(book_text()));
  std::string log, code, verse, table;
  for (int i = 0; i < 100; ++i) {
    log += "Jan 01 12:00:" + std::to_string(10 + i % 50) +
           " host daemon[1]: accepted connection from 10.0.0." + std::to_string(100 + i) + " port 22\n";
    code += "  for (int i = 0; i < n; ++i) {\n    total += values[i];\n  }\n  return total;\n";
    verse +=
        "the moon is up\nand the night is long and the stars are bright\nwe sing\nof a ship that was lost at "
        "sea\n";
    table += "name" + std::to_string(i) + "  12.5  17.25  some words here  99\n";
  }
  for (const std::string& text : {log, code, verse, table})
    EXPECT_FALSE(wrapped_width(text)) << text.substr(0, 80);
}

// --- Hostile files

TEST(HostileDocuments, EntitiesAreNotExpanded) {
  std::string laughs = "<?xml version=\"1.0\"?><!DOCTYPE FictionBook [<!ENTITY a \"ha\">";
  for (char c = 'b'; c <= 'z'; ++c) {
    laughs += std::string("<!ENTITY ") + c + " \"";
    for (int i = 0; i < 10; ++i) laughs += std::string("&") + static_cast<char>(c - 1) + ";";
    laughs += "\">";
  }
  laughs +=
      "<!ENTITY file SYSTEM \"file:///etc/passwd\">]><FictionBook><body><section><p>x &z; &file; "
      "y</p></section></body></FictionBook>";
  const DocumentText document = read(laughs, "x.fb2");
  EXPECT_LT(document.text.size(), 100U);
  EXPECT_EQ(document.text.find("root:"), std::string::npos);
}

TEST(HostileDocuments, BombsAreRefused) {
  EXPECT_THAT(problem_of(zip_of({{"big.txt", std::string(std::size_t{130} << 20, 'a')}})),
              HasSubstr("limit"));
  std::string nested = zip_of({{"a.txt", "text"}});
  for (int i = 0; i < 4; ++i) nested = zip_of({{"z.zip", nested}});
  EXPECT_THAT(problem_of(nested), HasSubstr("archives in archives"));
}

TEST(HostileDocuments, DeepNestingIsRead) {
  std::string html = "<html><body>";
  for (int i = 0; i < 20'000; ++i) html += "<div>";
  EXPECT_THAT(read(html + "x", "x.html").text, HasSubstr("x"));
  std::string rtf = "{\\rtf1 ";
  for (int i = 0; i < 20'000; ++i) rtf += "{";
  EXPECT_THAT(problem_of(rtf), HasSubstr("nested too deeply"));
  std::string fb2 = "<FictionBook><body>";
  for (int i = 0; i < 20'000; ++i) fb2 += "<section>";
  read(fb2 + "<p>x</p>", "x.fb2");
}

TEST(HostileDocuments, UnclosedEntitiesTakeLinearTime) {
  const std::string amps(2'000'000, '&');  // ten minutes, if each is searched for its end
  EXPECT_EQ(read("<html><body><p>x</p><p>" + amps + std::string(100'000, 'a'), "x.html").text.substr(0, 1),
            "x");
  read("<FictionBook><body><section><p>x " + amps + std::string(100'000, 'a'), "x.fb2");
}

/// pdftotext prints "nan" for pages of a damaged matrix; it is no order to sort by.
TEST(HostileDocuments, PlacesThatAreNoNumbersAreZero) {
  const auto text_of = [](const std::string& odd) {
    std::string layout = "<page width='612' height='792'><block>";
    for (int i = 0; i < 60; ++i) {
      const std::string right = i % 3 == 1 ? odd : std::to_string(300 + i * 37 % 240);
      layout += "<line xMin='72' yMin='" + std::to_string(100 + 10 * i) + "' xMax='" + right + "' yMax='" +
                std::to_string(109 + 10 * i) + "'><word>Line</word><word>" + std::to_string(i) +
                ".</word></line>";
    }
    return formats::read_pdf_layout(layout + "</block></page>", {}).text;
  };
  EXPECT_EQ(text_of("nan"), text_of("0"));
  EXPECT_EQ(text_of("-inf"), text_of("0"));
}

TEST(HostileDocuments, ResultsAreChecked) {
  const DocumentText document = read(book_html(), "x.html");
  const std::string good = encode(document);
  EXPECT_THROW(decode_document_text(good.substr(0, good.size() - 1)), std::runtime_error);
  EXPECT_THROW(decode_document_text(""), std::runtime_error);
  EXPECT_THROW(decode_document_text("{}\n"), std::runtime_error);
  DocumentText wrong = document;
  wrong.map.sections.back().start = document.text.size() + 1;
  EXPECT_THROW(decode_document_text(encode(wrong)), std::runtime_error);
  wrong = document;
  wrong.map.runs.back().length += 1000;
  EXPECT_THROW(decode_document_text(encode(wrong)), std::runtime_error);
  wrong = document;
  wrong.map.runs.back().member = 17;
  EXPECT_THROW(decode_document_text(encode(wrong)), std::runtime_error);
}

}  // namespace
}  // namespace unroll::test
