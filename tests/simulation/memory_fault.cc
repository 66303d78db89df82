#include "tests/simulation/memory_fault.h"

#include <mutex>
#include <stdexcept>

#include <sqlite3.h>

namespace unroll::simulation {
namespace {

thread_local std::uint64_t allocations_left = 0;  // until one fails; 0: none fails
thread_local bool has_happened = false;

bool runs_out() {
  if (allocations_left == 0 || --allocations_left > 0) return false;
  has_happened = true;
  return true;
}

sqlite3_mem_methods sqlite_memory;

}  // namespace

MemoryFault::MemoryFault(std::uint64_t allocation) {
  allocations_left = allocation;
  has_happened = false;
}

MemoryFault::~MemoryFault() {
  allocations_left = 0;
}

bool MemoryFault::happened() {
  return has_happened;
}

MemoryFault::Pause::Pause() : left_(allocations_left) {
  allocations_left = 0;
}

MemoryFault::Pause::~Pause() {
  allocations_left = left_;
}

void MemoryFault::install() {
  static std::once_flag once;
  std::call_once(once, [] {
    sqlite3_shutdown();
    auto failing = [] {
      if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK)
        throw std::runtime_error("SQLite's malloc cannot be replaced");
      return sqlite_memory;
    }();
    failing.xMalloc = [](int size) { return runs_out() ? nullptr : sqlite_memory.xMalloc(size); };
    failing.xRealloc = [](void* block, int size) {
      return runs_out() ? nullptr : sqlite_memory.xRealloc(block, size);
    };
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK)
      throw std::runtime_error("SQLite's malloc cannot be replaced");
  });
}

}  // namespace unroll::simulation
