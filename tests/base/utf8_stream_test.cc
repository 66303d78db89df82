#include "base/utf8_stream.h"

#include <gtest/gtest.h>

namespace unroll {
namespace {

TEST(Utf8Stream, GivesWholeCharacters) {
  Utf8Stream stream;
  EXPECT_EQ(stream.append("a\xC3"), "a");
  EXPECT_EQ(stream.append("\xB6\xF0\x9F"), "ö");
  EXPECT_EQ(stream.append("\x99"), "");
  EXPECT_EQ(stream.append("\x82"), "🙂");
}

TEST(Utf8Stream, WhatIsNoCharacterIsReplaced) {
  Utf8Stream stream;
  EXPECT_EQ(stream.append("\xFFz"), "\uFFFDz");
  EXPECT_EQ(stream.append("\xF0\x9F"), "");
  EXPECT_EQ(stream.append("b"), "\uFFFD\uFFFDb");  // the incomplete character is invalid now
  EXPECT_EQ(stream.append("c\xE2\x82"), "c");
  EXPECT_EQ(stream.finish(), "\uFFFD\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, ATextIsMadeValid) {
  EXPECT_EQ(valid_utf8("größer 🙂"), "größer 🙂");
  EXPECT_EQ(valid_utf8("\xC3(\xE2\x82"), "\uFFFD(\uFFFD\uFFFD");
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
}

}  // namespace
}  // namespace unroll
