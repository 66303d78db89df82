#include "client/batch/batch_files.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <unistd.h>
#include <xxhash.h>

#include "base/hex.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashBytes = 256 * 1024;

class Listing {
 public:
  Listing(const fs::path& folder, fs::path results) : folder_(folder), results_(std::move(results)) {}

  void add_folder(const fs::path& path) {
    std::error_code failed;
    fs::directory_iterator entries(folder_ / path, failed);
    for (; !failed && entries != fs::directory_iterator(); entries.increment(failed)) add(*entries, path);
    if (failed) files.push_back({path, 0, "cannot list the folder: " + failed.message()});
  }

  std::vector<BatchFile> files;

 private:
  void add(const fs::directory_entry& entry, const fs::path& folder) {
    const fs::path path = folder / entry.path().filename();
    std::error_code failed;
    const bool link = entry.is_symlink(failed);
    const fs::file_status status = entry.status(failed);
    if (fs::is_directory(status)) {
      if (!link && fs::weakly_canonical(entry.path(), failed) != results_) add_folder(path);
    } else if (fs::is_regular_file(status)) {
      files.push_back({path, entry.file_size(failed), ""});
      if (failed) files.back() = {path, 0, "cannot be read: " + failed.message()};
    } else if (fs::exists(status)) {
      files.push_back({path, 0, "is not a regular file; 'unroll run' reads pipes and devices"});
    } else {
      files.push_back({path, 0, "cannot be read: " + failed.message()});
    }
  }

  const fs::path& folder_;
  const fs::path results_;
};

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

}  // namespace

std::vector<BatchFile> list_batch_files(const fs::path& folder, const fs::path& out) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw CommandError(folder.string() + " is not a folder; 'unroll run' reads single files");
  }
  fs::path results = fs::weakly_canonical(out, failed);
  if (lies_in(fs::weakly_canonical(folder, failed), results)) {
    throw CommandError("the documents in " + folder.string() + " are among the results in " + out.string() +
                       "; name another folder with --out");
  }
  Listing listing(folder, std::move(results));
  listing.add_folder({});
  std::ranges::sort(listing.files, {}, &BatchFile::path);
  return std::move(listing.files);
}

std::string content_hash(int file, std::uint64_t size, const std::string& name,
                         const std::function<void()>& beat) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(::XXH3_createState(),
                                                                              &::XXH3_freeState);
  if (!state) throw std::bad_alloc();
  ::XXH3_128bits_reset(state.get());
  std::string bytes(kHashBytes, '\0');
  for (std::uint64_t done = 0; done < size;) {
    beat();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), size - done));
    const ssize_t got = ::pread(file, bytes.data(), wanted, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw CommandError(system_message("cannot read " + name, errno));
    if (got == 0) throw CommandError(name + " became shorter while it was read; run the command again");
    ::XXH3_128bits_update(state.get(), bytes.data(), static_cast<std::size_t>(got));
    done += static_cast<std::uint64_t>(got);
  }
  const XXH128_hash_t hash = ::XXH3_128bits_digest(state.get());
  return to_hex(hash.high64) + to_hex(hash.low64);
}

}  // namespace unroll
