// Files that are closed and opened again while they are read.
#include "daemon/source_files.h"

#include <array>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

class SourceFilesTest : public testing::Test {
 protected:
  static UniqueFd open(const std::filesystem::path& file) {
    return UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  }
  SourceFiles::FilePtr add(const std::string& name) {
    write_file(folder_ / name, name);
    return files_.add(open(folder_ / name));
  }
  std::string read(const SourceFiles::FilePtr& file) {
    std::array<char, 100> bytes{};
    const auto descriptor = files_.open(file);
    const auto count = ::pread(descriptor->get(), bytes.data(), bytes.size(), 0);
    return {bytes.data(), static_cast<std::size_t>(count)};
  }
  std::string error_of(const SourceFiles::FilePtr& file) {
    try {
      return "read: " + read(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kSource);
      return error.what();
    }
  }

  TemporaryFolder folder_;
  SourceFiles files_{2};
};

TEST_F(SourceFilesTest, AreOpenedAgainAsTheSameFile) {
  const auto a = add("a"), b = add("b"), c = add("c"), d = add("d");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read(a), "a");
    EXPECT_EQ(read(b), "b");
    EXPECT_EQ(read(c), "c");
    EXPECT_EQ(read(d), "d");
  }
}

TEST_F(SourceFilesTest, ThatWereDeletedStayOpen) {
  const auto a = add("a");
  std::filesystem::remove(folder_ / "a");
  const auto b = add("b"), c = add("c"), d = add("d");
  EXPECT_EQ(read(a), "a");
}

TEST_F(SourceFilesTest, ThatWereRenamedWhileOpenAreFound) {
  const auto a = add("a");
  std::filesystem::rename(folder_ / "a", folder_ / "moved");
  write_file(folder_ / "a", "another");
  const auto b = add("b"), c = add("c"), d = add("d");
  EXPECT_EQ(read(a), "a");
}

TEST_F(SourceFilesTest, AnotherUnderTheNameIsNotTakenForIt) {
  const auto a = add("a"), b = add("b"), c = add("c"), d = add("d");
  const auto path = (folder_ / "a").string();
  std::filesystem::remove(path);
  EXPECT_THAT(error_of(a), testing::AllOf(testing::HasSubstr(path), testing::HasSubstr("No such file")));
  write_file(path, "another");
  EXPECT_THAT(error_of(a), testing::AllOf(testing::HasSubstr(path), testing::HasSubstr("another file")));
  std::filesystem::remove(path);
  std::filesystem::create_symlink(folder_ / "b", path);
  EXPECT_THAT(error_of(a), testing::HasSubstr("another file"));
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);  // opening it would wait for a writer
  EXPECT_THAT(error_of(a), testing::HasSubstr("another file"));
}

TEST_F(SourceFilesTest, OnlyRegularFilesWithANameHaveALocation) {
  write_file(folder_ / "a", "a");
  const auto file = open(folder_ / "a");
  EXPECT_EQ(FileLocation::of(file.get()).value().path, (folder_ / "a").string());
  std::filesystem::remove(folder_ / "a");
  EXPECT_FALSE(FileLocation::of(file.get()));
  EXPECT_FALSE(FileLocation::of(open(folder_.path()).get()));
  EXPECT_FALSE(FileLocation::of(open("/dev/null").get()));
}

}  // namespace
}  // namespace unroll
