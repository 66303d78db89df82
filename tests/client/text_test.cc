#include "client/cli/text.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace unroll {
namespace {

TEST(Text, OneLineShowsNothingThatMovesACursor) {
  EXPECT_EQ(one_line("  a\t\tb\r\nc  "), "a b c");
  EXPECT_EQ(one_line("red \x1b[31m"), "red \xEF\xBF\xBD[31m");
  EXPECT_EQ(one_line("\x9B"), "\xEF\xBF\xBD") << "a byte alone";
  EXPECT_EQ(one_line("\xC2\x9B"), "\xEF\xBF\xBD") << "the control character U+009B";
  EXPECT_EQ(one_line("a\xE2\x80\xAE"
                     "b"),
            "a\xEF\xBF\xBD"
            "b")
      << "right-to-left override";
  EXPECT_EQ(one_line(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(one_line("größer 🙂"), "größer 🙂");
  EXPECT_EQ(one_line(""), "");
}

TEST(Text, CutsAtCharacters) {
  EXPECT_EQ(cut("größer", 6), "größer");
  EXPECT_EQ(cut("größer", 4), "grö…");
  EXPECT_EQ(columns(cut("🙂🙂🙂🙂", 3)), 3u);
}

TEST(Text, Wraps) {
  EXPECT_EQ(wrap("one two three", 7), "one two\nthree\n");
  EXPECT_EQ(wrap("one two three", 8, 2), "  one\n  two\n  three\n");
  EXPECT_EQ(wrap("immeasurable", 4), "immeasurable\n") << "a word is never broken";
  EXPECT_EQ(wrap("", 10), "");
}

TEST(Text, Numbers) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
  EXPECT_EQ(readable_bytes(1023), "1023 B");
  EXPECT_EQ(readable_bytes(35149), "34.3 KiB");
  EXPECT_EQ(readable_seconds(75), "1:15");
  EXPECT_EQ(readable_seconds(3675), "1:01:15");
  EXPECT_EQ(fixed(1.0 / 3, 3), "0.333");
  EXPECT_EQ(left("ä", 3) + "|", "ä  |");
  EXPECT_EQ(right("ä", 3), "  ä");
  EXPECT_EQ(right("abcd", 3), "abcd");
}

TEST(Utf8, TakesOnlyWhatIsValid) {
  const auto bytes_of = [](std::string_view text) {
    return next_utf8(text).valid ? next_utf8(text).bytes : 0;
  };
  EXPECT_EQ(bytes_of("a"), 1u);
  EXPECT_EQ(bytes_of("\xC3\xA4"), 2u);
  EXPECT_EQ(bytes_of("\xE2\x82\xAC"), 3u);
  EXPECT_EQ(bytes_of("\xF0\x9F\x99\x82"), 4u);
  EXPECT_EQ(next_utf8("\xF0\x9F\x99\x82").code, U'🙂');
  EXPECT_EQ(bytes_of("\xC0\x80"), 0u) << "overlong";
  EXPECT_EQ(bytes_of("\xE0\x80\x80"), 0u) << "overlong";
  EXPECT_EQ(bytes_of("\xED\xA0\x80"), 0u) << "a surrogate";
  EXPECT_EQ(bytes_of("\xF4\x90\x80\x80"), 0u) << "past U+10FFFF";
  EXPECT_EQ(bytes_of("\x80"), 0u);
  EXPECT_FALSE(next_utf8("\xE2(").cut_off);
  EXPECT_TRUE(next_utf8("\xE2\x82").cut_off);
}

}  // namespace
}  // namespace unroll
