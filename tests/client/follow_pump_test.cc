// The pump behind `unroll follow FILE`, alone: real files in, a pipe out.
#include "client/follow/follow_pump.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "client/cli/command_error.h"
#include "client/follow/printed_lines.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Much longer than anything should take.
constexpr int kPatienceMs = 20'000;

class FollowPumpTest : public testing::Test {
 protected:
  fs::path log() const { return folder_ / "logs" / "a.log"; }
  fs::path sibling(const std::string& ending) const { return log().string() + ending; }

  void SetUp() override { fs::create_directory(folder_ / "logs"); }

  void append(const std::string& text) const { append(log(), text); }
  static void append(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary | std::ios::app) << text << std::flush;
  }
  void rotate() const {
    if (fs::exists(sibling(".1"))) fs::rename(sibling(".1"), sibling(".2"));
    fs::rename(log(), sibling(".1"));
  }

  /// Starts like a new process, with the saved state.
  std::uint64_t start(std::uint64_t from = 0, bool at_end = false) {
    thread_.reset();
    kept_ = std::make_unique<KeptText>(folder_ / "kept");
    thread_ = std::make_unique<PumpThread>(
        std::make_unique<FollowPump>(FollowedFile{log(), encoding_, at_end}, *kept_,
                                     [this](const std::string& text) { notes_ += text + "\n"; }));
    return thread_->begin(from);
  }
  void stop() { thread_.reset(); }

  /// The next bytes; fewer if they do not come.
  std::string next(std::size_t count) const {
    std::string bytes;
    while (bytes.size() < count) {
      pollfd waited = {thread_->descriptor(), POLLIN, 0};
      if (::poll(&waited, 1, kPatienceMs) <= 0) break;
      std::array<char, 4096> buffer;
      const ssize_t got =
          ::read(thread_->descriptor(), buffer.data(), std::min(buffer.size(), count - bytes.size()));
      if (got <= 0) break;
      bytes.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return bytes;
  }
  void expect(const std::string& bytes) const { EXPECT_EQ(next(bytes.size()), bytes); }

  TemporaryFolder folder_;
  std::string notes_, encoding_;
  std::unique_ptr<KeptText> kept_;
  std::unique_ptr<PumpThread> thread_;
};

TEST_F(FollowPumpTest, ReadsWhatIsThereAndWhatIsAppended) {
  append("one\n");
  EXPECT_EQ(start(), 0u);
  expect("one\n");
  append("tw");
  append("o\n");
  expect("two\n");
  EXPECT_EQ(kept_->text(4, 7), "two");
}

TEST_F(FollowPumpTest, FromTheEndReadsOnlyWhatComes) {
  append("before\n");
  start(0, true);
  append("after\n");
  expect("after\n");
}

TEST_F(FollowPumpTest, WaitsForAFileAndForItsFolder) {
  fs::remove(folder_ / "logs");
  start();
  fs::create_directory(folder_ / "logs");
  append("here\n");
  expect("here\n");
}

TEST_F(FollowPumpTest, RotationByRenameReadsTheOldFileToItsEnd) {
  append("one\n");
  start();
  expect("one\n");
  rotate();
  append(sibling(".1"), "written behind the rename\n");
  expect("written behind the rename\n");
  append("");  // the new file is there; the program still writes to the old one
  append(sibling(".1"), "late\n");
  append("new\n");
  expect("late\nnew\n");
}

TEST_F(FollowPumpTest, CopyAndTruncateGoesOnAtTheStart) {
  append("one\ntwo\n");
  start();
  expect("one\ntwo\n");
  fs::copy_file(log(), sibling(".1"));
  fs::resize_file(log(), 0);
  append("three\n");
  expect("three\n");
  EXPECT_EQ(notes_, "");
}

TEST_F(FollowPumpTest, FileThatIsRemovedAndMadeAgain) {
  append("one\n");
  start();
  expect("one\n");
  fs::remove(log());
  append("two\n");
  expect("two\n");
}

TEST_F(FollowPumpTest, FileThatIsAwayForAWhileGoesOnWhereItWas) {
  append("one\n");
  start();
  expect("one\n");
  fs::rename(log(), folder_ / "elsewhere");
  append(folder_ / "elsewhere", "two\n");
  fs::rename(folder_ / "elsewhere", log());
  append("three\n");
  expect("two\nthree\n");
}

TEST_F(FollowPumpTest, FolderThatIsReplaced) {
  append("one\n");
  start();
  expect("one\n");
  fs::rename(folder_ / "logs", folder_ / "old");
  fs::create_directory(folder_ / "logs");
  append("two\n");
  expect("two\n");
}

TEST_F(FollowPumpTest, SeveralRotationsWhileNobodyReads) {
  append("one\n");
  start();
  expect("one\n");
  stop();
  append("one and a half\n");
  rotate();
  append("two\n");
  rotate();
  append("three\n");
  EXPECT_EQ(start(4), 4u);
  expect("one and a half\ntwo\nthree\n");
  EXPECT_EQ(notes_, "");
  // Again, from the middle of what was read: the same bytes.
  stop();
  EXPECT_EQ(start(20), 20u);
  expect("wo\nthree\n");
  EXPECT_EQ(kept_->text(0, 3), "one");
}

TEST_F(FollowPumpTest, OlderGenerationsAreNotRead) {
  append("older\n");
  rotate();
  append("one\n");
  start();
  expect("one\n");
  rotate();
  append("two\n");
  expect("two\n");
}

// "a.log.err" looks like a generation of a.log and is younger than a.log.1: it must not be read between the
// two.
TEST_F(FollowPumpTest, OtherLogsOfSuchANameAreNotRead) {
  append("one\n");
  start();
  expect("one\n");
  rotate();
  append(sibling(".err"), "another log\n");
  append("two\n");
  expect("two\n");
}

TEST_F(FollowPumpTest, NumberBeforeTheExtensionAndBehindALink) {
  const fs::path target = folder_ / "target.log";
  fs::create_symlink(target, log());
  append("one\n");
  start();
  expect("one\n");
  stop();
  append("two\n");
  fs::rename(target, folder_ / "target-20260131.log");
  append("three\n");
  start(4);
  expect("two\nthree\n");
}

// The engine wants what it had not committed again, and the old file is gone or is another one.
TEST_F(FollowPumpTest, WhatWasNotCommittedIsReadAgainAfterAnyRotation) {
  const auto gzip = [&](const fs::path& file) {
    ASSERT_EQ(std::system(("gzip '" + file.string() + "'").c_str()), 0);
  };
  for (const std::string kind : {"rename", "gzip", "truncate", "remove"}) {
    SCOPED_TRACE(kind);
    for (const auto& entry : fs::directory_iterator(folder_ / "logs")) fs::remove(entry);
    fs::remove(folder_ / "kept");
    append("one\ntwo\n");
    start();
    expect("one\ntwo\n");
    stop();
    if (kind == "truncate") fs::resize_file(log(), 0);
    if (kind == "remove") fs::remove(log());
    if (kind == "rename" || kind == "gzip") rotate();
    if (kind == "gzip") gzip(sibling(".1"));
    append("FATAL: the disk is gone\nand more\n");
    EXPECT_EQ(start(4), 4u);
    expect("two\nFATAL: the disk is gone\nand more\n");
    EXPECT_EQ(start(1), 1u);
    expect("ne\ntwo\nFATAL: the disk is gone\nand more\n");
    stop();
  }
}

TEST_F(FollowPumpTest, WhatWasCompressedBeforeItWasReadIsRead) {
  append("one\n");
  start();
  expect("one\n");
  stop();
  append("two\n");
  rotate();
  append(sibling(".2"), "an older\nlog\n");
  fs::last_write_time(sibling(".2"), fs::last_write_time(sibling(".1")) - std::chrono::hours(1));
  ASSERT_EQ(std::system(("gzip '" + sibling(".1").string() + "' '" + sibling(".2").string() + "'").c_str()),
            0);
  append("three\n");
  start(4);
  expect("two\nthree\n");
  EXPECT_EQ(notes_, "");
}

TEST_F(FollowPumpTest, GenerationsThatWereCompressedUnreadAreRead) {
  const auto gzip = [&](const fs::path& file) {
    ASSERT_EQ(std::system(("gzip '" + file.string() + "'").c_str()), 0);
  };
  append("one\n");
  start();
  expect("one\n");
  stop();
  append("two\n");
  rotate();
  gzip(sibling(".1"));
  fs::rename(sibling(".1.gz"), sibling(".3.gz"));
  append("three\n");
  rotate();
  append("four\n");
  rotate();
  gzip(sibling(".1"));
  append("five\n");
  start(4);
  expect("two\nthree\nfour\nfive\n");
  stop();
  rotate();
  append("six\n");
  start(kept_->end());
  expect("six\n");
  EXPECT_EQ(notes_, "");
}

TEST_F(FollowPumpTest, TruncatedAndGrownBeyondItsOldLength) {
  append("one\n");
  start();
  expect("one\n");
  const auto overwrite = [&](const std::string& text) {
    std::ofstream(log(), std::ios::binary | std::ios::trunc) << text << std::flush;
  };
  overwrite("two and two\n");
  expect("two and two\n");
  stop();
  overwrite("three and three and three\n");
  start(kept_->end());
  expect("three and three and three\n");
  EXPECT_THAT(notes_, HasSubstr("was truncated in the meantime"));
}

TEST_F(FollowPumpTest, LineThatRotationCutInHalfGoesOn) {
  append("one\nhalf a ");
  start();
  expect("one\n");
  rotate();
  append("line\n");
  expect("half a line\n");
}

TEST_F(FollowPumpTest, ColoursEncodingsAndLongLinesAreAsForAnomaly) {
  append("\x1b[31mERROR\x1b[0m x\n10 %\r100 %\nGer\xE4t\n" + std::string(200'000, 'x') + "\nafter\n");
  start();
  expect("ERROR x\n100 %\nGer\xC3\xA4t\n");
  EXPECT_EQ(next(16 * 1024 + 2), std::string(16 * 1024 + 1, 'x') + "\n");
  expect("after\n");
  EXPECT_THAT(notes_, HasSubstr("has lines of which only the first 16 KiB are read"));
}

TEST_F(FollowPumpTest, Utf16GoesOnInItsMiddle) {
  const auto wide = [](const std::string& text) {
    std::string bytes;
    for (const char c : text) bytes += {c, '\0'};
    return bytes;
  };
  append("\xFF\xFE" + wide("one\r\ntwo\r\n"));
  start();
  expect("one\r\ntwo\r\n");
  append(wide("three\r\n"));
  expect("three\r\n");
  stop();
  append(wide("fo"));
  start(kept_->end());
  append(wide("ur\r\n"));
  expect("four\r\n");
}

TEST_F(FollowPumpTest, EncodingThatWasNamed) {
  encoding_ = "ISO-8859-15";
  append("5 \xA4\n");
  start();
  expect("5 \xE2\x82\xAC\n");
  encoding_ = "no-such";
  EXPECT_THROW(start(), CommandError);
}

TEST_F(FollowPumpTest, WhatIsNoLongerKeptCannotBeReadAgain) {
  const std::string line = std::string(9999, 'x') + "\n";
  for (int i = 0; i < 2000; ++i) append(line);
  start();
  EXPECT_EQ(next(2000 * line.size()).size(), 2000 * line.size());
  start(kept_->end());
  const std::uint64_t begin = kept_->begin();
  EXPECT_GT(begin, 0u);
  EXPECT_GE(kept_->end() - begin, 4u << 20) << "more than the engine may ask for";
  EXPECT_THROW(start(begin - 1), DocumentLost);
  EXPECT_EQ(start(begin), begin);
  EXPECT_EQ(next(20'000), (line + line + line).substr(begin % line.size(), 20'000));
}

TEST_F(FollowPumpTest, TornEndOfWhatIsKeptIsReadFromTheFileAgain) {
  append("one\n");
  start();
  expect("one\n");
  append("two\n");
  expect("two\n");
  stop();
  kept_.reset();
  fs::resize_file(folder_ / "kept", fs::file_size(folder_ / "kept") - 3);
  EXPECT_EQ(start(8), 4u);
  expect("two\n");
}

TEST_F(FollowPumpTest, LastGenerationIsGone) {
  append("one\n");
  start();
  expect("one\n");
  stop();
  fs::remove(log());
  append("two\n");
  start(4);
  expect("two\n");
  EXPECT_THAT(notes_, HasSubstr("the file was removed"));
}

TEST_F(FollowPumpTest, TruncatedWhileNobodyReads) {
  append("one\ntwo\n");
  start();
  expect("one\ntwo\n");
  stop();
  fs::resize_file(log(), 0);
  append("three\n");
  start(8);
  expect("three\n");
  EXPECT_THAT(notes_, HasSubstr("was truncated in the meantime"));
}

TEST_F(FollowPumpTest, NewDocumentBeginsWhereTheLastOneStood) {
  append("one\ntwo\n");
  start();
  expect("one\ntwo\n");
  stop();
  append("three\n");
  kept_->begin_document_at(5);  // in the middle of a line: the new document has all of it
  EXPECT_EQ(start(), 0u);
  expect("two\nthree\n");
}

TEST_F(FollowPumpTest, WhatIsWrittenDuringManyRotationsArrivesOnceAndInOrder) {
  append("first\n");
  start();
  expect("first\n");
  std::string all;
  for (int i = 0; i < 3000; ++i) all += "line " + std::to_string(i) + "\n";
  std::thread writer([&] {
    for (std::size_t at = 0, step = 1; at < all.size(); at += step, step = step * 7 % 1009 + 1) {
      append(all.substr(at, step));
      if (step % 11 != 0) continue;
      for (int i = 40; i > 0; --i) {
        if (fs::exists(sibling("." + std::to_string(i))))
          fs::rename(sibling("." + std::to_string(i)), sibling("." + std::to_string(i + 1)));
      }
      fs::rename(log(), sibling(".1"));
    }
  });
  const std::string got = next(all.size());
  writer.join();
  const auto differ = std::mismatch(got.begin(), got.end(), all.begin(), all.end());
  EXPECT_TRUE(got == all) << got.size() << " of " << all.size() << " bytes, alike up to "
                          << differ.first - got.begin();
}

TEST_F(FollowPumpTest, FolderIsNotFollowed) {
  fs::create_directory(log());
  EXPECT_THROW(start(), CommandError);
}

TEST(PrintedLines, KilledWhileLinesComeAgain) {
  const TemporaryFolder folder;
  const UniqueFd terminal(::dup(STDOUT_FILENO));
  const UniqueFd file(::open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ::dup2(file.get(), STDOUT_FILENO);
  const auto any = [](std::string_view) { return true; };
  OutputLines first_process;
  PrintedLines first(first_process, {}, any);
  first.line("a");
  const auto after_a = first.record();
  for (const char* line : {"b", "c"}) first.line(line);
  first.flush();
  OutputLines second_process;
  PrintedLines second(second_process, after_a, any);
  second.line("b");
  const auto after_b = second.record();
  OutputLines third_process;
  PrintedLines third(third_process, after_b, any);
  for (const char* line : {"c", "d"}) third.line(line);
  third.flush();
  ::dup2(terminal.get(), STDOUT_FILENO);
  std::ifstream in(folder / "out");
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(in)), {}), "a\nb\nc\nd\n");
}

TEST(PrintedLines, SourcesThatShareAFileRepeatNothing) {
  const TemporaryFolder folder;
  const UniqueFd terminal(::dup(STDOUT_FILENO));
  const UniqueFd file(::open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ::dup2(file.get(), STDOUT_FILENO);
  const auto own = [](char name) { return [name](std::string_view line) { return line.starts_with(name); }; };
  nlohmann::json place;
  {
    OutputLines out;
    PrintedLines a(out, {}, own('a')), b(out, {}, own('b'));
    place = a.record();
    for (const char* line : {"a1", "a2"}) a.line(line);
    b.line("b1");
    a.line("a3");
    b.flush();
    ASSERT_EQ(::ftruncate(file.get(), 11), 0);  // within a3's line
  }
  OutputLines out;
  PrintedLines a(out, place, own('a')), b(out, place, own('b'));
  for (const char* line : {"a1", "a2", "a3", "a4"}) a.line(line);
  for (const char* line : {"b1", "b2"}) b.line(line);
  EXPECT_EQ(b.record(), a.record());
  ::dup2(terminal.get(), STDOUT_FILENO);
  std::ifstream in(folder / "out");
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(in)), {}), "a1\na2\nb1\na3\na4\nb2\n");
}

}  // namespace
}  // namespace unroll
