#include "client/sources/source.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"
#include "client/sources/decompress_pump.h"
#include "client/sources/pipe_pump.h"

namespace unroll {
namespace {

constexpr std::size_t kCopyBytes = 256 * 1024;

int open_file(const std::string& path) {
  // Without O_NONBLOCK, so that opening a named pipe waits for its writer.
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

[[noreturn]] void refuse_folder(const std::string& name) {
  throw CommandError(name + " is a folder; name a file in it, or read all of them with 'unroll batch " +
                     name + " --out DIR'");
}

std::string advice(int error) {
  if (error == ENOENT) return "; check the path, or give - for standard input";
  if (error == EACCES) return "; change its permissions, or run as a user who may read it";
  return "";
}

void write_copy(int descriptor, std::string_view bytes) {
  if (!write_all(descriptor, bytes))
    throw CommandError(system_message("cannot write a temporary copy of the document", errno));
}

/// A file without a name, so that nothing is left over, however this process ends.
UniqueFd temporary_file() {
  std::error_code ignored;
  std::string path = (std::filesystem::temp_directory_path(ignored) / "unroll-XXXXXX").string();
  UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) {
    throw CommandError(system_message("cannot make a temporary file for the document", errno) +
                       "; set TMPDIR to a folder that you may write to");
  }
  ::unlink(path.c_str());
  return file;
}

}  // namespace

Source Source::open(const std::string& argument) {
  Source source;
  if (argument == "-") {
    source.name_ = "standard input";
    source.descriptor_ = UniqueFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  } else {
    source.name_ = argument;
    source.descriptor_ = UniqueFd(open_file(argument));
  }
  if (!source.descriptor_) {
    const int error = errno;
    throw CommandError(system_message("cannot read " + source.name_, error) + advice(error));
  }
  source.look_at_file();
  if (source.regular_) {
    source.decompress();
  } else if (!source.handed_over_as_is_) {
    return pumped(source.name_, std::make_unique<PipePump>(source.name_, std::move(source.descriptor_)));
  }
  return source;
}

Source Source::of_file(std::string name, UniqueFd file, std::uint64_t size) {
  Source source;
  source.name_ = std::move(name);
  source.descriptor_ = std::move(file);
  source.regular_ = true;
  source.total_bytes_ = source.rest_ = size;
  source.decompress();
  return source;
}

Source Source::of_text(std::string name, std::string_view text) {
  Source source;
  source.name_ = std::move(name);
  source.descriptor_ = UniqueFd(::memfd_create("document", MFD_CLOEXEC));
  if (!source.descriptor_) throw CommandError(system_message("cannot hold " + source.name_, errno));
  write_copy(source.descriptor_.get(), text);
  ::lseek(source.descriptor_.get(), 0, SEEK_SET);
  source.look_at_file();
  return source;
}

Source Source::pumped(std::string name, std::unique_ptr<Pump> pump, std::optional<std::uint64_t> total) {
  Source source;
  source.name_ = std::move(name);
  source.total_bytes_ = total;
  source.pump_ = std::make_unique<PumpThread>(std::move(pump));
  return source;
}

void Source::decompress() {
  const auto compression = compression_of(descriptor_.get(), base_);
  if (!compression) return;
  *this = pumped(name_, std::make_unique<DecompressPump>(name_, std::move(descriptor_), base_,
                                                         base_ + total_bytes_.value_or(0), *compression));
  compressed_ = true;
}

void Source::look_at_file() {
  struct stat status {};
  if (::fstat(descriptor_.get(), &status) != 0)
    throw CommandError(system_message("cannot read " + name_, errno));
  if (S_ISDIR(status.st_mode)) refuse_folder(name_);
  regular_ = S_ISREG(status.st_mode);
  if (regular_) {
    const off_t position = ::lseek(descriptor_.get(), 0, SEEK_CUR);
    base_ = position > 0 ? static_cast<std::uint64_t>(position) : 0;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    // Files in /proc have size 0 but are not empty.
    if (size > 0) total_bytes_ = size - std::min(size, base_);
  }
  handed_over_as_is_ = (regular_ && base_ == 0 && total_bytes_) || S_ISFIFO(status.st_mode);
}

void Source::keep_text(std::uint64_t most) {
  if (regular_) return;
  UniqueFd copy = temporary_file();
  std::uint64_t size = 0;
  for (std::string bytes = read(kCopyBytes); !bytes.empty(); bytes = read(kCopyBytes)) {
    size += bytes.size();
    if (size > most)
      throw CommandError(name_ + " holds more than " + std::to_string(most >> 20) +
                         " MiB, which is the limit; split it");
    write_copy(copy.get(), bytes);
  }
  ::lseek(copy.get(), 0, SEEK_SET);
  descriptor_ = std::move(copy);
  pump_.reset();
  compressed_ = false;
  look_at_file();
}

std::string Source::text(std::uint64_t begin, std::uint64_t end) const {
  std::string bytes(end - begin, '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::pread(descriptor_.get(), bytes.data() + filled, bytes.size() - filled,
                                static_cast<off_t>(base_ + begin + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw CommandError(system_message("cannot read " + name_, errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

std::uint64_t Source::begin(std::uint64_t from) {
  if (pump_) return pump_->begin(from);
  if (!regular_) return 0;
  if (total_bytes_ && from > *total_bytes_) {
    throw CommandError(name_ + " is shorter than what was read of it before; read it again from the start");
  }
  if (::lseek(descriptor_.get(), static_cast<off_t>(base_ + from), SEEK_SET) < 0)
    throw CommandError(system_message("cannot read " + name_, errno));
  if (rest_) *rest_ -= from;
  return from;
}

std::string Source::read(std::size_t limit) {
  if (pump_ && !pump_->begun()) pump_->begin(0);
  if (rest_) limit = static_cast<std::size_t>(std::min<std::uint64_t>(limit, *rest_));
  if (limit == 0) return {};
  std::string bytes(limit, '\0');
  ssize_t got = 0;
  do {
    got = ::read(descriptor(), bytes.data(), bytes.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw CommandError(system_message("cannot read " + name_, errno));
  bytes.resize(static_cast<std::size_t>(got));
  if (got == 0 && pump_) pump_->check_end();
  if (got == 0 && rest_) throw CommandError(name_ + " became shorter while it was read; read it again");
  if (rest_) *rest_ -= bytes.size();
  return bytes;
}

}  // namespace unroll
