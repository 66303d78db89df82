// tests/simulation/: the real engine and journal in a simulated environment that one seed determines: clock,
// disk, clients and faults. This is the disk: an SQLite VFS in memory that tracks what was synced, loses what
// a power cut may lose, and fails on request.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

namespace unroll::simulation {

using Random = std::mt19937_64;
/// From 0 to `count` - 1; the same on every platform.
inline std::uint64_t pick(Random& random, std::uint64_t count) {
  return random() % count;
}
inline bool chance(Random& random, double probability) {
  return static_cast<double>(random() >> 11) * 0x1p-53 < probability;
}

struct Faults {
  bool full = false;         ///< Files cannot grow.
  double write_error = 0;    ///< Probability for each write.
  double read_error = 0;     ///< For each read.
  double sync_error = 0;     ///< For each sync; the data may be lost although they can still be read.
  bool cannot_open = false;  ///< As if the file system is missing or read-only.
};

/// One thread.
class SimulatedDisk {
 public:
  /// SQLite finds it by `name`. `random` determines what is lost.
  SimulatedDisk(std::string name, Random& random);
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  const std::string& name() const { return name_; }
  Faults faults;
  static constexpr std::int64_t kStart = 1'700'000'000;
  std::int64_t now = kStart;  ///< Its clock, in seconds since 1970.
  /// The process ends: its writes stay, and further operations on its open files have no effect.
  void kill();
  /// The machine ends, too: some of what was not synced is lost, in pieces, in any order.
  void cut_power();
  std::uint64_t syncs() const { return syncs_; }

 private:
  struct Change {
    std::uint64_t offset;  ///< Of a truncation: the new size.
    std::string bytes;
    bool truncate = false;
  };
  struct Handle;
  /// Memory that the connections of one process share, for SQLite's index of its write-ahead log.
  struct Shared {
    std::vector<std::unique_ptr<char[]>> regions;
    std::map<int, int> readers;  ///< By lock: how many hold it.
    std::set<int> writers;       ///< Locks that one holder holds exclusively.
  };
  struct File {
    std::string now, durable;
    std::vector<Change> unsynced;
    bool linked = false;  ///< Its name was synced.
    std::map<const Handle*, int> locks;
    std::shared_ptr<Shared> shared;
  };

  static void apply(std::string& content, const Change& change);
  void change(File& file, Change change);
  int sync(File& file);
  static SimulatedDisk& of(sqlite3_vfs* vfs);
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder);
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* result);
  static int time(sqlite3_vfs* vfs, sqlite3_int64* milliseconds);
  static const sqlite3_io_methods* methods();
  static void set_shared_memory(sqlite3_io_methods& methods);

  const std::string name_;
  Random& random_;
  sqlite3_vfs vfs_{};
  std::map<std::string, std::shared_ptr<File>, std::less<>> files_;
  std::uint64_t generation_ = 0, syncs_ = 0;
};

}  // namespace unroll::simulation
