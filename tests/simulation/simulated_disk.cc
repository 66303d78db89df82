#include "tests/simulation/simulated_disk.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <stdexcept>

#include "tests/simulation/memory_fault.h"

namespace unroll::simulation {
namespace {

constexpr int kSector = 512;

}  // namespace

/// An open file as SQLite sees it; SQLite owns its memory.
struct SimulatedDisk::Handle : sqlite3_file {
  Handle(SimulatedDisk& disk, std::shared_ptr<File> file)
      : sqlite3_file{methods()}, disk(disk), file(std::move(file)), generation(disk.generation_) {}
  SimulatedDisk& disk;
  std::shared_ptr<File> file;
  std::uint64_t generation;
  std::shared_ptr<Shared> shared;
  std::set<int> read_locks, write_locks;  ///< Of the shared memory.

  static Handle& of(sqlite3_file* file) { return *static_cast<Handle*>(file); }
  /// Of a process that has ended.
  bool stale() const { return generation != disk.generation_; }

  /// SQLite's five levels: others may read until it is exclusive, and only one may be about to write.
  int lock(int level) {
    for (const auto& [other, held] : file->locks) {
      if (other == this) continue;
      if ((level >= SQLITE_LOCK_EXCLUSIVE && held >= SQLITE_LOCK_SHARED) ||
          (level >= SQLITE_LOCK_RESERVED && held >= SQLITE_LOCK_RESERVED) || held >= SQLITE_LOCK_PENDING)
        return SQLITE_BUSY;
    }
    file->locks[this] = level;
    return SQLITE_OK;
  }
  void unlock(int level) {
    level == SQLITE_LOCK_NONE ? (void)file->locks.erase(this) : (void)(file->locks[this] = level);
  }
  int lock_shared(int first, int count, int flags) {
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (int slot = first; slot < first + count; ++slot) {
      if (flags & SQLITE_SHM_UNLOCK) {
        if (exclusive && write_locks.erase(slot) > 0) shared->writers.erase(slot);
        if (!exclusive && read_locks.erase(slot) > 0) --shared->readers[slot];
      } else if (shared->writers.contains(slot) || (exclusive && shared->readers[slot] > 0)) {
        lock_shared(first, slot - first, (flags & ~SQLITE_SHM_LOCK) | SQLITE_SHM_UNLOCK);
        return SQLITE_BUSY;
      } else if (exclusive) {
        shared->writers.insert(slot);
        write_locks.insert(slot);
      } else if (read_locks.insert(slot).second) {
        ++shared->readers[slot];
      }
    }
    return SQLITE_OK;
  }
  void release_shared() {
    for (const int slot : read_locks) --shared->readers[slot];
    for (const int slot : write_locks) shared->writers.erase(slot);
    read_locks.clear();
    write_locks.clear();
    shared.reset();
  }
};

SimulatedDisk::SimulatedDisk(std::string name, Random& random) : name_(std::move(name)), random_(random) {
  MemoryFault::install();
  vfs_ = *sqlite3_vfs_find(nullptr);
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.xOpen = &SimulatedDisk::open;
  vfs_.xDelete = &SimulatedDisk::remove;
  vfs_.xAccess = &SimulatedDisk::access;
  vfs_.xCurrentTimeInt64 = &SimulatedDisk::time;
  vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  };
  if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) throw std::runtime_error("SQLite does not take the disk");
}

SimulatedDisk::~SimulatedDisk() {
  sqlite3_vfs_unregister(&vfs_);
}

SimulatedDisk& SimulatedDisk::of(sqlite3_vfs* vfs) {
  return *static_cast<SimulatedDisk*>(vfs->pAppData);
}

int SimulatedDisk::open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const MemoryFault::Pause pause;
  auto& disk = of(vfs);
  file->pMethods = nullptr;
  if (disk.faults.cannot_open) return SQLITE_CANTOPEN;
  auto& entry = disk.files_[name == nullptr ? "(temporary)" : name];
  if (!entry) entry = std::make_shared<File>();
  new (file) Handle(disk, entry);
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

/// A deleted name is never reused: the journal's files are not created again in between.
int SimulatedDisk::remove(sqlite3_vfs* vfs, const char* name, int) {
  auto& disk = of(vfs);
  disk.files_.erase(name);
  return SQLITE_OK;
}

int SimulatedDisk::access(sqlite3_vfs* vfs, const char* name, int, int* result) {
  *result = of(vfs).files_.contains(std::string_view(name)) ? 1 : 0;
  return SQLITE_OK;
}

/// SQLite counts from the beginning of Julian days.
int SimulatedDisk::time(sqlite3_vfs* vfs, sqlite3_int64* milliseconds) {
  *milliseconds = (of(vfs).now + 210'866'760'000) * 1000;
  return SQLITE_OK;
}

/// Locks and shared memory belong to the process.
void SimulatedDisk::kill() {
  ++generation_;
  for (auto& [name, file] : files_) {
    file->locks.clear();
    file->shared.reset();
  }
}

void SimulatedDisk::apply(std::string& content, const Change& change) {
  if (change.truncate) {
    content.resize(change.offset);
    return;
  }
  if (content.size() < change.offset + change.bytes.size())
    content.resize(change.offset + change.bytes.size());
  std::ranges::copy(change.bytes, content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void SimulatedDisk::change(File& file, Change change) {
  apply(file.now, change);
  file.unsynced.push_back(std::move(change));
}

int SimulatedDisk::sync(File& file) {
  const MemoryFault::Pause pause;
  ++syncs_;
  if (chance(random_, faults.sync_error)) {
    // The kernel forgets that these pages are dirty: no later sync writes them.
    std::erase_if(file.unsynced, [&](const auto&) { return chance(random_, 0.5); });
    return SQLITE_IOERR_FSYNC;
  }
  for (const auto& change : file.unsynced) apply(file.durable, change);
  file.unsynced.clear();
  file.linked = true;
  return SQLITE_OK;
}

void SimulatedDisk::cut_power() {
  kill();
  for (auto entry = files_.begin(); entry != files_.end();) {
    auto& file = *entry->second;
    if (!file.linked && chance(random_, 0.5)) {
      entry = files_.erase(entry);
      continue;
    }
    const double kept = static_cast<double>(pick(random_, 5)) / 4;  // from nothing to all
    for (auto& change : file.unsynced) {
      if (!chance(random_, kept)) continue;
      if (!change.truncate && chance(random_, 0.2)) {
        // Torn between two sectors.
        const auto sectors = change.bytes.size() / kSector;
        change.bytes.resize(sectors == 0 ? 0 : pick(random_, sectors) * kSector);
      }
      apply(file.durable, change);
    }
    file.unsynced.clear();
    file.now = file.durable;
    file.linked = true;
    ++entry;
  }
}

const sqlite3_io_methods* SimulatedDisk::methods() {
  static const sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods methods{};
    methods.iVersion = 2;
    set_shared_memory(methods);
    methods.xClose = [](sqlite3_file* file) {
      auto& handle = Handle::of(file);
      handle.file->locks.erase(&handle);
      handle.~Handle();
      return SQLITE_OK;
    };
    methods.xRead = [](sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
      auto& handle = Handle::of(file);
      if (handle.stale() || chance(handle.disk.random_, handle.disk.faults.read_error)) {
        return SQLITE_IOERR_READ;
      }
      const auto& content = handle.file->now;
      const auto begin = std::min(content.size(), static_cast<std::size_t>(offset));
      const auto count = std::min(content.size() - begin, static_cast<std::size_t>(size));
      std::memcpy(out, content.data() + begin, count);
      std::memset(static_cast<char*>(out) + count, 0, static_cast<std::size_t>(size) - count);
      return count == static_cast<std::size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    };
    methods.xWrite = [](sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
      const MemoryFault::Pause pause;
      auto& handle = Handle::of(file);
      auto& disk = handle.disk;
      if (handle.stale() || chance(disk.random_, disk.faults.write_error)) return SQLITE_IOERR_WRITE;
      const auto end = static_cast<std::size_t>(offset) + static_cast<std::size_t>(size);
      if (disk.faults.full && end > handle.file->now.size()) return SQLITE_FULL;
      disk.change(*handle.file, {static_cast<std::uint64_t>(offset),
                                 {static_cast<const char*>(bytes), static_cast<std::size_t>(size)}});
      return SQLITE_OK;
    };
    methods.xTruncate = [](sqlite3_file* file, sqlite3_int64 size) {
      auto& handle = Handle::of(file);
      const MemoryFault::Pause pause;
      if (handle.stale()) return SQLITE_IOERR_TRUNCATE;
      handle.disk.change(*handle.file, {static_cast<std::uint64_t>(size), {}, true});
      return SQLITE_OK;
    };
    methods.xSync = [](sqlite3_file* file, int) {
      auto& handle = Handle::of(file);
      return handle.stale() ? SQLITE_IOERR_FSYNC : handle.disk.sync(*handle.file);
    };
    methods.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
      *size = static_cast<sqlite3_int64>(Handle::of(file).file->now.size());
      return SQLITE_OK;
    };
    methods.xLock = [](sqlite3_file* file, int level) {
      const MemoryFault::Pause pause;
      auto& handle = Handle::of(file);
      return handle.stale() ? SQLITE_IOERR_LOCK : handle.lock(level);
    };
    methods.xUnlock = [](sqlite3_file* file, int level) {
      const MemoryFault::Pause pause;
      auto& handle = Handle::of(file);
      if (!handle.stale()) handle.unlock(level);
      return SQLITE_OK;
    };
    methods.xCheckReservedLock = [](sqlite3_file*, int* result) {
      *result = 0;
      return SQLITE_OK;
    };
    methods.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
    methods.xSectorSize = [](sqlite3_file*) { return kSector; };
    methods.xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; };
    return methods;
  }();
  return &kMethods;
}

void SimulatedDisk::set_shared_memory(sqlite3_io_methods& methods) {
  methods.xShmMap = [](sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    const MemoryFault::Pause pause;
    auto& handle = Handle::of(file);
    *out = nullptr;
    if (handle.stale()) return SQLITE_IOERR_SHMMAP;
    auto& shared = handle.file->shared;
    if (!shared) shared = std::make_shared<Shared>();
    handle.shared = shared;
    while (extend != 0 && shared->regions.size() <= static_cast<std::size_t>(region)) {
      shared->regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
    if (static_cast<std::size_t>(region) < shared->regions.size()) {
      *out = shared->regions[static_cast<std::size_t>(region)].get();
    }
    return SQLITE_OK;
  };
  methods.xShmLock = [](sqlite3_file* file, int first, int count, int flags) {
    const MemoryFault::Pause pause;
    auto& handle = Handle::of(file);
    if (handle.stale() || !handle.shared) return SQLITE_IOERR_SHMLOCK;
    return handle.lock_shared(first, count, flags);
  };
  methods.xShmBarrier = [](sqlite3_file*) {};
  methods.xShmUnmap = [](sqlite3_file* file, int remove) {
    auto& handle = Handle::of(file);
    if (!handle.shared) return SQLITE_OK;
    handle.release_shared();
    if (remove != 0 && !handle.stale()) handle.file->shared.reset();
    return SQLITE_OK;
  };
}

}  // namespace unroll::simulation
