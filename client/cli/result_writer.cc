#include "client/cli/result_writer.h"

#include <cerrno>
#include <chrono>

#include <fcntl.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr double kFlushSeconds = 0.1;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

UniqueFd create(const std::filesystem::path& file) {
  if (file.empty()) return UniqueFd();
  UniqueFd descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!descriptor) {
    throw CommandError(system_message("cannot write " + file.string(), errno) +
                       "; name a file in a writable folder with --out");
  }
  return descriptor;
}

}  // namespace

ResultWriter::ResultWriter(const std::filesystem::path& file)
    : name_(file.empty() ? "standard output" : file.string()),
      file_(create(file)),
      descriptor_(file_ ? file_.get() : STDOUT_FILENO),
      terminal_(terminal_of(descriptor_)) {}

void ResultWriter::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

void ResultWriter::end_line() {
  buffer_ += '\n';
  if (now() - last_flush_ > kFlushSeconds) flush();
}

void ResultWriter::flush() {
  if (!write_all(descriptor_, buffer_)) {
    const int error = errno;
    buffer_.clear();
    throw CommandError(system_message("cannot write the results to " + name_, error) +
                       (error == ENOSPC ? "; free space and run the command again" : ""));
  }
  buffer_.clear();
  last_flush_ = now();
}

}  // namespace unroll
