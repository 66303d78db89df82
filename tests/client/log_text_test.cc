// LogText: encodings, escape sequences, carriage returns and long lines, with the places of the original.
#include "client/sources/log_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command_error.h"
#include "plugins/builtin/records/record.h"

namespace unroll {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

struct Converted {
  std::string text;
  std::vector<std::uint64_t> begins, ends;  // of the text's lines, in the original
  std::uint64_t cut = 0, first_cut = 0;
};

/// In pieces of `step` bytes.
Converted converted(const std::string& bytes, const std::string& encoding = "", std::size_t step = 1) {
  LogText log(encoding);
  Converted result;
  for (std::size_t i = 0; i < bytes.size(); i += step) log.take(bytes.substr(i, step), result.text);
  log.finish(result.text);
  for (std::size_t begin = 0; begin < result.text.size();) {
    const std::size_t end = std::min(result.text.find('\n', begin), result.text.size());
    result.begins.push_back(log.places().original(begin));
    result.ends.push_back(log.places().original(end));
    begin = end + 1;
  }
  result.cut = log.cut_lines();
  result.first_cut = log.first_cut();
  return result;
}

/// The bytes of the UTF-16 of ASCII text.
std::string utf16(const std::string& text, bool big_endian = false) {
  std::string bytes;
  for (const char c : text) bytes += big_endian ? std::string{'\0', c} : std::string{c, '\0'};
  return bytes;
}

TEST(LogText, PlainTextIsUnchanged) {
  for (const std::string& text : {""s, "a"s, "a\n\nb\tc\r\nd"s, "Ger\xC3\xA4t\n"s, "\n"s}) {
    EXPECT_EQ(converted(text).text, text);
    EXPECT_EQ(converted(text, "UTF-8").text, text);
  }
  EXPECT_EQ(converted("ab\r\ncd\r\n").begins, (std::vector<std::uint64_t>{0, 4}));
  EXPECT_EQ(converted("ab\ncd").ends, (std::vector<std::uint64_t>{2, 5}));
}

TEST(LogText, ColoursAndOverwrittenTextGo) {
  const std::string bytes = "\x1b[31mERROR\x1b[0m a\nplain\n10 %\r100 %\r\nlast\n";
  for (const std::size_t step : {1u, 3u, 100u}) {
    const Converted log = converted(bytes, "", step);
    EXPECT_EQ(log.text, "ERROR a\nplain\n100 %\nlast\n");
    EXPECT_EQ(log.begins, (std::vector<std::uint64_t>{0, 17, 23, 35}));
    EXPECT_EQ(log.ends, (std::vector<std::uint64_t>{16, 22, 34, 39}));
  }
}

TEST(LogText, Utf16IsDecodedByItsMarkOrItsZeros) {
  const std::string text = "first line\r\nERROR two\r\n";
  for (const bool big : {false, true}) {
    const std::string mark = big ? "\xFE\xFF" : "\xFF\xFE";
    const Converted marked = converted(mark + utf16(text, big));
    EXPECT_EQ(marked.text, "first line\r\nERROR two\r\n");
    EXPECT_EQ(marked.begins, (std::vector<std::uint64_t>{2, 26}));
    EXPECT_EQ(marked.ends, (std::vector<std::uint64_t>{24, 46}));
    EXPECT_EQ(converted(utf16(text, big)).text, "first line\r\nERROR two\r\n");
    EXPECT_EQ(converted(utf16(text, big), big ? "UTF-16BE" : "UTF-16LE").text, "first line\r\nERROR two\r\n");
  }
  EXPECT_EQ(converted("\xFF\xFE"s + "\x3D\xD8\x00\xDE\n\0"s).text, "\xF0\x9F\x98\x80\n")
      << "a surrogate pair";
  EXPECT_EQ(converted("\xFF\xFE"s + "\x0A\x0A"s + "a\0\n\0"s).text,
            "\xE0\xA8\x8A"
            "a\n")
      << "U+0A0A is no newline";
  EXPECT_EQ(converted("\xFF\xFE\0\0a\0\0\0\n\0\0\0"s).text, "a\n") << "UTF-32";
  EXPECT_EQ(converted("\xEF\xBB\xBF"
                      "a\n")
                .text,
            "a\n");
  EXPECT_EQ(converted("\xEF\xBB\xBF"
                      "a\n")
                .begins,
            (std::vector<std::uint64_t>{3}));
}

TEST(LogText, Utf16WithoutAMarkMayBeOfAnyLanguage) {
  std::string bytes, text;
  for (int i = 0; i < 3; ++i) {
    text +=
        "2026-03-02 08:00:00 \xD0\xA1\xD0\xB1\xD0\xBE\xD0\xB9 \xD0\xB4\xD0\xB8\xD1\x81\xD0\xBA\xD0\xB0 "
        "\xE4\xB8\x8A\r\n";
    bytes += utf16("2026-03-02 08:00:00 ") +
             "\x21\x04\x31\x04\x3E\x04\x39\x04 \0\x34\x04\x38\x04\x41\x04\x3A\x04\x30\x04 \0\x0A\x4E"s +
             utf16("\r\n");
  }
  for (const std::size_t step : {1u, 1000u}) EXPECT_EQ(converted(bytes, "", step).text, text);
}

TEST(LogText, AMarkSaysInWhichOrderTheBytesAre) {
  EXPECT_EQ(converted("\xFE\xFF" + utf16("one\ntwo\n", true), "UTF-16").text, "one\ntwo\n");
  EXPECT_EQ(converted("\xFF\xFE" + utf16("one\ntwo\n"), "UTF-16").text, "one\ntwo\n");
}

TEST(LogText, LatinOneIsGuessedOrGiven) {
  EXPECT_EQ(converted("Ger\xE4t\nGer\xC3\xA4t\n").text, "Ger\xC3\xA4t\nGer\xC3\xA4t\n");
  EXPECT_EQ(converted("5 \x80\n").text, "5 \xE2\x82\xAC\n") << "Windows-1252";
  EXPECT_EQ(converted("Ger\xC3\xA4t\n", "ISO-8859-1").text, "Ger\xC3\x83\xC2\xA4t\n");
  EXPECT_EQ(converted("Ger\xE4t\n", "UTF-8").text, "Ger\xE4t\n") << "as it was given";
  EXPECT_EQ(converted("\xCF\xF2\n", "KOI8-R").text, "\xD0\xBE\xD0\xA0\n");
  EXPECT_EQ(converted("Ger\xE4t\nb\n").begins, (std::vector<std::uint64_t>{0, 6}));
  EXPECT_THROW(LogText("no-such-encoding"), CommandError);
}

TEST(LogText, LongLinesAreCut) {
  const std::string body(150'000, 'x'), huge(700'000, 'y');
  const Converted log = converted("a\n" + body + "\nb\n" + huge + "\nc\n", "", 1000);
  constexpr std::size_t kKept = records::kMostRecordBytes + 1;
  EXPECT_EQ(log.text, "a\n" + std::string(kKept, 'x') + "\nb\n" + std::string(kKept, 'y') + "\nc\n");
  EXPECT_EQ(log.begins, (std::vector<std::uint64_t>{0, 2, 150'003, 150'005, 850'006}));
  EXPECT_EQ(log.ends, (std::vector<std::uint64_t>{1, 150'002, 150'004, 850'005, 850'007}));
  EXPECT_EQ(log.cut, 2u);
  EXPECT_EQ(log.first_cut, 2u);
}

TEST(LogText, AProgressBarOfAnyLengthIsItsLastState) {
  std::string bar;
  for (int i = 0; i < 100'000; ++i) bar += "step " + std::to_string(i) + "\r";
  EXPECT_EQ(converted(bar + "ERROR: checksum\r\nnext\n", "", 4096).text, "ERROR: checksum\nnext\n");
}

TEST(LogText, OneLineForPeople) {
  EXPECT_EQ(log_line_text("\x1b[31mGer\xE4t\x1b[0m\r"), "Ger\xC3\xA4t");
  EXPECT_EQ(wide_encoding("\xFF\xFE"
                          "a\0"s),
            "UTF-16LE");
  EXPECT_EQ(wide_encoding("plain text\n"), "");
  EXPECT_EQ(wide_encoding("\xEF\xBB\xBFtext"), "");
}

}  // namespace
}  // namespace unroll
