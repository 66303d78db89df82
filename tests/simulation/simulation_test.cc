#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/journal.h"
#include "tests/simulation/simulated_disk.h"
#include "tests/simulation/simulator.h"

namespace unroll::simulation {
namespace {

/// A file on a simulated disk, accessed as SQLite does.
class OpenFile {
 public:
  explicit OpenFile(const SimulatedDisk& disk) : vfs_(sqlite3_vfs_find(disk.name().c_str())) {
    memory_.resize(static_cast<std::size_t>(vfs_->szOsFile));
    EXPECT_EQ(vfs_->xOpen(vfs_, "file", file(), SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE, nullptr),
              SQLITE_OK);
  }
  ~OpenFile() { file()->pMethods->xClose(file()); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int write(const std::string& bytes, sqlite3_int64 offset) {
    return file()->pMethods->xWrite(file(), bytes.data(), static_cast<int>(bytes.size()), offset);
  }
  int sync() { return file()->pMethods->xSync(file(), SQLITE_SYNC_FULL); }
  std::string read(int size) {
    std::string bytes(static_cast<std::size_t>(size), '?');
    file()->pMethods->xRead(file(), bytes.data(), size, 0);
    return bytes;
  }

 private:
  sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(memory_.data()); }
  sqlite3_vfs* vfs_;
  std::vector<std::max_align_t> memory_;
};

TEST(SimulatedDisk, APowerCutLosesOnlyWhatWasNotSynced) {
  Random random(7);
  int lost = 0, kept = 0;
  for (int time = 0; time < 100; ++time) {
    SimulatedDisk disk("test disk", random);
    {
      OpenFile file(disk);
      EXPECT_EQ(file.write("synced", 0), SQLITE_OK);
      EXPECT_EQ(file.sync(), SQLITE_OK);
      EXPECT_EQ(file.write("not", 6), SQLITE_OK);
      EXPECT_EQ(file.read(9), "syncednot") << "readable, durable or not";
      disk.cut_power();
      EXPECT_EQ(file.write("!", 0), SQLITE_IOERR_WRITE) << "by a process that is no more";
    }
    const auto after = OpenFile(disk).read(9);
    EXPECT_EQ(after.substr(0, 6), "synced");
    ++(after.substr(6) == "not" ? kept : lost);
  }
  EXPECT_GT(lost, 10);
  EXPECT_GT(kept, 10);
}

TEST(SimulatedDisk, AKillLosesNothing) {
  Random random(7);
  SimulatedDisk disk("test disk", random);
  {
    OpenFile file(disk);
    file.write("written", 0);
    disk.kill();
  }
  EXPECT_EQ(OpenFile(disk).read(7), "written");
}

TEST(SimulatedDisk, AFullOneTakesWhatDoesNotGrow) {
  Random random(7);
  SimulatedDisk disk("test disk", random);
  OpenFile file(disk);
  EXPECT_EQ(file.write("1234", 0), SQLITE_OK);
  disk.faults.full = true;
  EXPECT_EQ(file.write("56", 2), SQLITE_OK);
  EXPECT_EQ(file.write("78", 3), SQLITE_FULL);
  EXPECT_EQ(file.read(4), "1256");
}

/// The commit of the document's output number `sequence`.
void commit_output(Journal& journal, std::uint64_t sequence) {
  Commit commit;
  commit.status.id = "document";
  commit.status.outputs = sequence + 1;
  if (sequence == 0) commit.opening = Opening{{{"plugin"}}, "checkpoint"};
  commit.outputs = {{sequence, "plugin", "{}"}};
  journal.commit({&commit, 1});
}

/// Data of a commit that could not be synced may be readable in the next process. Then it must survive a
/// power cut, too.
TEST(Journal, WhatWasReadOnceSurvivesAPowerCutAfterAFailedSync) {
  constexpr auto kAll = std::numeric_limits<std::size_t>::max();
  int read = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    SimulatedDisk disk("test disk", random);
    {
      Journal journal("journal", disk.name());
      commit_output(journal, 0);
      disk.faults.sync_error = 1;
      EXPECT_THROW(commit_output(journal, 1), Error);
      disk.kill();
    }
    disk.faults.sync_error = 0;
    std::size_t outputs = 0;
    {
      const Journal journal("journal", disk.name());
      outputs = journal.outputs("document", 0, kAll).size();
      disk.cut_power();
    }
    if (outputs == 2) ++read;
    EXPECT_GE(Journal("journal", disk.name()).outputs("document", 0, kAll).size(), outputs) << seed;
  }
  EXPECT_GT(read, 10);
}

TEST(Simulation, EqualSeedsGiveEqualRuns) {
  const Library library;
  for (const std::uint64_t seed : {3, 4, 5}) {
    const auto first = simulate(library, seed), second = simulate(library, seed);
    EXPECT_EQ(first.failure, "");
    EXPECT_EQ(first.trace, second.trace) << seed;
    EXPECT_NE(first.trace, simulate(library, seed + 10).trace);
  }
}

TEST(Simulation, RunsMeetTrouble) {
  const Library library;
  Report total;
  for (std::uint64_t seed = 0; seed < 40; ++seed) total += simulate(library, seed);
  EXPECT_EQ(total.failure, "");
  for (const auto count : {total.power_cuts, total.kills, total.faults, total.edge_failures,
                           total.lost_connections, total.resumes, total.evictions, total.commits}) {
    EXPECT_GT(count, 20u);
  }
}

}  // namespace
}  // namespace unroll::simulation
