#include "base/sha256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace unroll {
namespace {

std::string digest_of(std::string_view bytes) {
  Sha256 sha256;
  sha256.add(bytes);
  return digest_text(sha256.digest());
}

TEST(Sha256, GivesTheExamplesOfFips180) {
  EXPECT_EQ(digest_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, ContinuesFromWhereItWasSaved) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(i * 31);
  for (const std::size_t cut : {0, 1, 63, 64, 65, 128, 299}) {
    Sha256 first;
    first.add(bytes.substr(0, cut));
    auto second = Sha256::load(first.save());
    ASSERT_TRUE(second) << cut;
    EXPECT_EQ(second->digest(), first.digest());
    second->add(bytes.substr(cut));
    EXPECT_EQ(digest_text(second->digest()), digest_of(bytes)) << cut;
  }
}

TEST(Sha256, DoesNotContinueFromOtherBytes) {
  auto saved = Sha256().save();
  EXPECT_FALSE(Sha256::load(std::span(saved).first(saved.size() - 1)));
  saved.resize(saved.size() + 64);
  EXPECT_FALSE(Sha256::load(saved));
  EXPECT_FALSE(Sha256::load({}));
}

}  // namespace
}  // namespace unroll
