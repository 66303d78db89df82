// What `unroll follow` keeps of a source, and when it forgets it.
#include "client/follow/follow_memory.h"

#include <chrono>
#include <fstream>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command_error.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class FollowMemoryTest : public testing::Test {
 protected:
  /// As a process leaves it that followed the log.
  FollowFiles followed(const std::string& name, int days_ago) const {
    const fs::path log = folder_ / name;
    std::ofstream(log) << "a line\n";
    FollowFiles files = FollowFiles::of(state(), name, name);
    FollowMemory(files, name).update([&](FollowState& state) { state.file = log; });
    for (const fs::path& kept : {files.kept(), files.events(), files.journal()}) std::ofstream(kept) << "x";
    fs::last_write_time(files.state, fs::file_time_type::clock::now() - std::chrono::hours(24 * days_ago));
    return files;
  }
  fs::path state() const { return folder_ / "state"; }
  std::vector<std::string> forget() const {
    std::vector<std::string> names;
    for (const fs::path& file : forget_gone_files(state())) names.push_back(file.filename());
    return names;
  }
  const TemporaryFolder folder_;
};

TEST_F(FollowMemoryTest, FilesThatAreGoneForAWeekAreForgotten) {
  const FollowFiles old = followed("old.log", 8), recent = followed("recent.log", 6),
                    there = followed("there.log", 8);
  fs::remove(folder_ / "old.log");
  fs::remove(folder_ / "recent.log");
  EXPECT_THAT(forget(), ElementsAre("old.log"));
  for (const fs::path& kept : {old.state, old.lock(), old.kept(), old.events(), old.journal()})
    EXPECT_FALSE(fs::exists(kept)) << kept;
  for (const FollowFiles& files : {recent, there}) {
    EXPECT_TRUE(fs::exists(files.state));
    EXPECT_TRUE(fs::exists(files.kept()));
  }
  EXPECT_THAT(forget(), IsEmpty());
  EXPECT_TRUE(FollowMemory(old, "old.log").state().document.empty()) << "it can be followed again";
}

TEST_F(FollowMemoryTest, WhatAProcessHasOrWaitsToBeDeliveredIsKept) {
  const FollowFiles used = followed("used.log", 8), waits = followed("waits.log", 8);
  fs::remove(folder_ / "used.log");
  fs::remove(folder_ / "waits.log");
  const fs::path spool = waits.spool().string() + "-1";
  fs::create_directory(spool);
  std::ofstream(spool / "event") << "{}";
  std::optional<FollowMemory> follows(std::in_place, used, "used.log");
  EXPECT_THROW(FollowMemory(used, "used.log"), CommandError);
  EXPECT_THAT(forget(), IsEmpty());
  EXPECT_TRUE(fs::exists(waits.kept()));
  follows.reset();
  fs::remove(spool / "event");
  EXPECT_EQ(forget().size(), 2u);
  EXPECT_THAT(fs::exists(state()) ? std::distance(fs::directory_iterator(state()), {}) : 0, 0);
}

}  // namespace
}  // namespace unroll
