// tests/simulation/: the real engine and journal in a world that one seed decides: clock, disk, clients, and
// what befalls them. This is the disk: an SQLite VFS in memory that knows what was synced and what was not,
// loses what a power cut may lose, and fails when told to.
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
  double write_error = 0;    ///< Probability of each write.
  double read_error = 0;     ///< Of each read.
  double sync_error = 0;     ///< Of each sync; what was to be synced may be lost though it can still be read.
  bool cannot_open = false;  ///< As where a file system is not there, or read-only.
};

/// One thread.
class SimulatedDisk {
 public:
  /// Under `name` SQLite finds it. `random` decides what is lost.
  SimulatedDisk(std::string name, Random& random);
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  const std::string& name() const { return name_; }
  Faults faults;
  /// The process ends: what it wrote stays, what it still does to its open files comes to nothing.
  void kill();
  /// The machine, too: of what was not synced, some is lost, in pieces, in any order.
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
    std::map<int, int> readers;  ///< Of a lock: how many hold it.
    std::set<int> writers;       ///< Locks that one holds alone.
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
  static const sqlite3_io_methods* methods();
  static void set_shared_memory(sqlite3_io_methods& methods);

  const std::string name_;
  Random& random_;
  sqlite3_vfs vfs_{};
  std::map<std::string, std::shared_ptr<File>, std::less<>> files_;
  std::uint64_t generation_ = 0, syncs_ = 0;
};

}  // namespace unroll::simulation
