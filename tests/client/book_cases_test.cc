// Books as people have them, read by the built programs: encodings, archives, pages, layouts, stimuli,
// offsets.
#include <set>

#include "tests/client/documents.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class BookCases : public WithModel {
 protected:
  static std::string text_of(const std::string& name, const std::string& bytes,
                             std::vector<std::string> options = {}) {
    write_file(path(name), bytes);
    options.insert(options.begin(), {"text", path(name)});
    const Finished finished = unroll(options);
    EXPECT_EQ(finished.exit_code, 0) << name << ": " << finished.err;
    return finished.out;
  }
  static std::vector<json> lines_of_score(const std::string& bytes, std::vector<std::string> options) {
    write_file(path("scored.txt"), bytes);
    options.insert(options.begin(), {"score", path("scored.txt"), "--format", "ndjson"});
    return lines_of(embedded(options).out);
  }
  static double bits(const std::string& bytes, std::vector<std::string> options = {}) {
    write_file(path("bits.txt"), bytes);
    options.insert(options.begin(), {"score", path("bits.txt"), "--format", "json"});
    return json::parse(embedded(options).out)["bits_per_byte"];
  }
  static std::string compressed(const std::string& program, const std::string& bytes) {
    return run({"/usr/bin/env", program, "-c"}, {bytes, {}}).out;
  }
};

/// UTF-16 and UTF-32 of characters below U+10000. `unit`: bytes of a number; `big`: the most significant
/// first.
std::string wide(const std::string& text, int unit, bool big, bool mark) {
  std::string result;
  const auto put = [&](unsigned code) {
    for (int i = 0; i < unit; ++i) {
      const int shift = 8 * (big ? unit - 1 - i : i);
      result += static_cast<char>(shift < 32 ? code >> shift : 0);
    }
  };
  if (mark) put(0xFEFF);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      put(byte);
    } else {  // of two bytes
      put((byte & 0x1FU) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3FU));
    }
  }
  return result;
}

TEST_F(BookCases, EncodingsOfWideUnits) {
  EXPECT_EQ(text_of("a.txt", wide(book_text(), 2, true, true)), book_text());
  EXPECT_EQ(text_of("a.txt", wide(book_text(), 2, false, false)), book_text()) << "without a mark";
  EXPECT_EQ(text_of("a.txt", wide(book_text(), 4, false, true)), book_text());
}

TEST_F(BookCases, BooksInArchives) {
  EXPECT_EQ(text_of("a", compressed("xz", book_epub())), book_text());
  EXPECT_EQ(text_of("a", zip_of({{"folder/book.docx", book_docx()}})), book_text());
  EXPECT_EQ(text_of("a.fb2.zip", zip_of({{"book.fb2", book_fb2()}})), book_text());
  EXPECT_EQ(text_of("a", compressed("bzip2", book_odt())), book_text());
}

TEST_F(BookCases, PagesWithoutWhatIsNoText) {
  const std::string body = "<h1>Head</h1><p>One.</p><p>Two.</p>", text = "Head\n\nOne.\n\nTwo.\n";
  EXPECT_EQ(text_of("a.html", "<!DOCTYPE html><nav>Home</nav><script>f(1 < 2)</script>" + body), text);
  EXPECT_EQ(text_of("a",
                    "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><style>p &gt; b {}"
                    "</style></head><body>" +
                        body + "</body></html>"),
            text);
  EXPECT_EQ(text_of("a.html", "<html><meta charset=windows-1252><body><!-- no -->" + body +
                                  "<p hidden>x</p><p>caf\xE9"),
            text + "\ncaf\u00E9\n");
  write_file(path("a.html"), "<!DOCTYPE html><style>p{}</style>" + body);
  EXPECT_EQ(lines_of(embedded({"score", path("a.html"), "--format", "ndjson"}).out).size(), 4u)
      << "three paragraphs and the document";
}

TEST_F(BookCases, LineEndsOfCarriageReturns) {
  for (const std::string text : {"One.\r\rTwo.\r\rThree.\r", "\xEF\xBB\xBFOne.\r\rTwo\rgoes on.\r\rThree.",
                                 "One.\r\r\r\rTwo.\r\rThree.\r\r"}) {
    EXPECT_EQ(lines_of_score(text, {"--granularity", "paragraph"}).size(), 4u) << text;
  }
}

TEST_F(BookCases, LayoutsOfTheSameWordsHaveTheSameBits) {
  const double expected = bits(book_text());
  for (const std::size_t width : {45, 60, 72}) {
    EXPECT_EQ(bits(wrapped(book_text(), width)), expected) << width;
    EXPECT_EQ(bits(wrapped(book_text(), width, true)), expected) << "divided words, " << width;
  }
  std::string soft = book_text();  // soft hyphens
  for (std::size_t at = 0; (at = soft.find("light", at)) != std::string::npos; at += 7)
    soft.insert(at + 2, "\u00AD");
  ASSERT_NE(soft, book_text());
  EXPECT_EQ(bits("<!DOCTYPE html><p>" + soft.substr(soft.find("The ")), {}),
            bits("<!DOCTYPE html><p>" + book_text().substr(book_text().find("The ")), {}));
}

TEST_F(BookCases, ItemsOfAnExperimentAreAlone) {
  const std::string one = "The nurse that the boys met is here.",
                    two = "The nurse that the boys met are here.";
  const double alone = lines_of_score(two, {"--each-line"}).at(0)["nats"];
  for (const std::string& text :
       {one + "\n" + two + "\n" + one, one + "\r\n" + two + "\r\n", "\n\n" + two + "\n\n\n" + one + "\n"}) {
    std::vector<double> found;
    for (const json& line : lines_of_score(text, {"--each-line"})) {
      if (line["nats"] == alone) found.push_back(line["nats"]);
    }
    EXPECT_EQ(found.size(), 1u) << text;
  }
}

TEST_F(BookCases, OffsetsInCharactersAreThoseOfPython) {
  for (const std::string text :
       {"Zażółć gęślą jaźń. Done.", "図書館で 本を読む。 End.", "A 🙂🙂 smile, e\u0301 and ß."}) {
    std::vector<std::size_t> begins;  // of characters
    for (std::size_t i = 0; i < text.size(); ++i)
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) begins.push_back(i);
    begins.push_back(text.size());
    write_file(path("offsets.txt"), text);
    const json tokens = json::parse(
        embedded({"score", path("offsets.txt"), "--granularity", "token", "--format", "json"}).out);
    std::size_t next = 0;
    for (const json& block : tokens["passages"]) {
      for (std::size_t i = 0; i < block["start"].size(); ++i) {
        EXPECT_EQ(block["start_char"][i], next);
        next = block["end_char"][i];
        EXPECT_LE(begins.at(next), block["end"][i].get<std::size_t>() + 3);
      }
    }
    EXPECT_EQ(next + 1, begins.size()) << text;
    for (const json& word : lines_of_score(text, {"--granularity", "word"})) {
      if (word["type"] != "word") continue;
      EXPECT_EQ(begins.at(word["start_char"]), word["start"]);
      EXPECT_EQ(begins.at(word["end_char"]), word["end"]);
    }
  }
}

}  // namespace
}  // namespace unroll::test
