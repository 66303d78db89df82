#include "client/batch/result_files.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/write_all.h"
#include "client/views/view.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = 64 * 1024;

}  // namespace

ResultUnwritable ResultUnwritable::because(const fs::path& file, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return ResultUnwritable(system_message("cannot write " + file.string(), error) +
                          (full ? "; free some disk space" : "; check the folder and its disk") +
                          " and run the command again");
}

std::string text_of(const std::vector<PluginRequest>& plugins) {
  nlohmann::json list = nlohmann::json::array();
  for (const PluginRequest& plugin : plugins) list.push_back({plugin.name, plugin.options});
  return to_line(list);
}

fs::path make_result_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    throw CommandError("cannot make the folder " + folder.string() + ": " + failed.message() +
                       "; name a writable folder with --out");
  }
  return folder;
}

fs::path unfinished_of(fs::path result) {
  result += ".part";
  return result;
}

void publish(const fs::path& result) {
  publish(unfinished_of(result), result);
}

void publish(const fs::path& unfinished, const fs::path& result) {
  const auto sync = [](const fs::path& path) {
    const UniqueFd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!descriptor || ::fsync(descriptor.get()) != 0) throw ResultUnwritable::because(path, errno);
  };
  sync(unfinished);
  std::error_code failed;
  fs::rename(unfinished, result, failed);
  if (failed) throw ResultUnwritable::because(result, failed.value());
  sync(result.parent_path());
}

RowFile::RowFile(const fs::path& result) : name_(unfinished_of(result).string()) {
  file_ = UniqueFd(::open(name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file_) throw ResultUnwritable::because(name_, errno);
  find_end();
}

RowFile::~RowFile() {
  try {
    flush();
  } catch (const CommandError&) {
  }
}

/// Counts the rows, and cuts off what follows the last one.
void RowFile::find_end() {
  std::string bytes(kBufferBytes, '\0');
  off_t size = 0, end = 0;
  for (ssize_t got = 0; (got = ::pread(file_.get(), bytes.data(), bytes.size(), size)) != 0; size += got) {
    if (got < 0) throw CommandError(system_message("cannot read " + name_, errno));
    const auto read = std::string_view(bytes).substr(0, static_cast<std::size_t>(got));
    rows_ += static_cast<std::uint64_t>(std::ranges::count(read, '\n'));
    if (const auto last = read.rfind('\n'); last != std::string_view::npos)
      end = size + static_cast<off_t>(last) + 1;
  }
  if (::ftruncate(file_.get(), end) != 0 || ::lseek(file_.get(), end, SEEK_SET) < 0)
    throw ResultUnwritable::because(name_, errno);
}

void RowFile::write(std::string_view row) {
  buffer_ += row;
  buffer_ += '\n';
  ++rows_;
  if (buffer_.size() >= kBufferBytes) flush();
}

void RowFile::flush() {
  if (error_ == 0 && !write_all(file_.get(), buffer_)) error_ = errno;
  buffer_.clear();
  if (error_ != 0) throw ResultUnwritable::because(name_, error_);
}

}  // namespace unroll
