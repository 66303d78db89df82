#include "client/reading/snapshot_cache.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/ascii.h"
#include "base/atomic_file.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
constexpr std::string_view kExtension = ".snapshot";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path cache_folder() {
  const fs::path given = variable("XDG_CACHE_HOME"), home = variable("HOME");
  if (given.is_absolute()) return given / "unroll" / "snapshots";
  return home.empty() ? fs::path() : home / ".cache" / "unroll" / "snapshots";
}

/// The document's name as a part of a file's.
std::string label(const fs::path& document) {
  auto name = document.filename().string().substr(0, 100);
  std::ranges::replace_if(
      name, [](unsigned char byte) { return byte < 0x20 || byte >= 0x7F || byte == '/'; }, '_');
  return name;
}

}  // namespace

SnapshotCache::SnapshotCache() : folder_(cache_folder()), most_bytes_(kMostBytes) {
  const auto given = variable("UNROLL_CACHE_BYTES");
  if (ascii::all_digits(given)) most_bytes_ = std::strtoull(given.c_str(), nullptr, 10);
}

std::vector<SnapshotCache::Entry> SnapshotCache::list() const {
  std::vector<Entry> entries;
  std::error_code failed;
  if (folder_.empty()) return entries;
  for (const auto& file : fs::directory_iterator(folder_, failed)) {
    const auto name = file.path().filename().string();
    const auto dash = name.find('-');
    if (!name.ends_with(kExtension) || dash == std::string::npos) continue;
    std::error_code gone;  // by another process
    const auto bytes = file.file_size(gone);
    const auto used = file.last_write_time(gone);
    if (gone) continue;
    entries.push_back({name.substr(0, dash),
                       name.substr(dash + 1, name.size() - kExtension.size() - dash - 1), file.path(), bytes,
                       used});
  }
  std::ranges::sort(entries, std::greater<>(), &Entry::used);
  return entries;
}

std::optional<std::string> SnapshotCache::find(const std::string& key) const {
  for (const auto& entry : list()) {
    if (entry.key != key) continue;
    std::ifstream stream(entry.path, std::ios::binary);
    std::string file(std::istreambuf_iterator<char>(stream), {});
    if (!stream.good() && !stream.eof()) return std::nullopt;
    std::error_code ignored;
    fs::last_write_time(entry.path, fs::file_time_type::clock::now(), ignored);
    return file;
  }
  return std::nullopt;
}

void SnapshotCache::put(const std::string& key, const fs::path& document, std::string_view file) const {
  if (folder_.empty()) return;
  try {
    fs::create_directories(folder_);
    fs::permissions(folder_, fs::perms::owner_all);
    AtomicFile target(folder_ / (key + "-" + label(document) + std::string(kExtension)), 0600);
    target.write(file);
    target.commit();
    shrink();
  } catch (const std::exception&) {
    // No space, or not writable.
  }
}

bool SnapshotCache::remove(const std::string& key) const {
  bool found = false;
  for (const auto& entry : list()) {
    std::error_code failed;
    if (entry.key == key) found |= fs::remove(entry.path, failed);
  }
  return found;
}

void SnapshotCache::shrink() const {
  std::uint64_t bytes = 0;
  for (const auto& entry : list()) {
    bytes += entry.bytes;
    std::error_code failed;
    if (bytes > most_bytes_) fs::remove(entry.path, failed);
  }
}

}  // namespace unroll
