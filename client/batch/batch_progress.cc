#include "client/batch/batch_progress.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "client/cli/progress.h"
#include "client/cli/text.h"

namespace unroll {
namespace {

constexpr std::chrono::milliseconds kBetweenDraws{100};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double per_second(std::uint64_t amount, double seconds) {
  return seconds > 0 ? static_cast<double>(amount) / seconds : 0;
}

}  // namespace

BatchProgress::BatchProgress(BatchTotals totals) : totals_(totals), terminal_(terminal_of(STDERR_FILENO)) {}

BatchProgress::~BatchProgress() {
  erase();
}

void BatchProgress::update(std::size_t job, const std::string& name, std::uint64_t size,
                           const ReadProgress& first, const ReadProgress& now) {
  const std::lock_guard lock(mutex_);
  Running& running = running_[job];
  running.name = name;
  running.size = size;
  running.first = first;
  running.now = now;
  if (Clock::now() - drawn_at_ >= kBetweenDraws) draw();
}

void BatchProgress::finish(std::size_t job, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (const auto found = running_.find(job); found != running_.end()) {
    const Running& running = found->second;
    bytes_read_ += running.now.bytes - std::min(running.first.bytes, running.now.bytes);
    tokens_read_ += running.now.tokens - std::min(running.first.tokens, running.now.tokens);
    running_.erase(found);
  }
  ++done_.files;
  done_.bytes += size;
  if (Clock::now() - drawn_at_ >= kBetweenDraws) draw();
}

void BatchProgress::message(const std::string& text) {
  const std::lock_guard lock(mutex_);
  erase();
  std::cerr << "unroll: " << one_line(text) << std::endl;
  draw();
}

void BatchProgress::note(const std::string& text) {
  if (terminal_.present) message(text);
}

std::string BatchProgress::whole_name() const {
  return with_thousands(done_.files) + " of " + with_thousands(totals_.files) + " files";
}

std::string BatchProgress::whole(std::size_t width, std::size_t name_columns) const {
  std::uint64_t bytes = done_.bytes, read = bytes_read_, tokens = tokens_read_;
  for (const auto& [job, running] : running_) {
    // For a compressed file, the document's offset says nothing about the progress in the file.
    if (running.now.total_bytes) bytes += std::min(running.now.bytes, running.size);
    read += running.now.bytes - std::min(running.first.bytes, running.now.bytes);
    tokens += running.now.tokens - std::min(running.first.tokens, running.now.tokens);
  }
  const double seconds = seconds_since(started_);
  return progress_text(whole_name(), {bytes, totals_.bytes, tokens, per_second(tokens, seconds)},
                       per_second(read, seconds), width, name_columns);
}

void BatchProgress::draw() {
  if (!terminal_.moves) return;
  drawn_at_ = Clock::now();
  const Terminal terminal = terminal_of(STDERR_FILENO);  // its size may have changed
  const std::size_t width = terminal.width - 1;          // a full line would wrap on some terminals
  std::size_t name_columns = progress_name_columns(whole_name());
  for (const auto& [job, running] : running_)
    name_columns = std::max(name_columns, progress_name_columns(running.name));
  std::vector<std::string> lines = {bold(terminal, whole(width, name_columns))};
  for (const auto& [job, running] : running_) {
    if (lines.size() + 1 >= terminal.height) break;
    const std::uint64_t read = running.now.bytes - std::min(running.first.bytes, running.now.bytes);
    lines.push_back(progress_text(running.name, running.now, per_second(read, seconds_since(running.started)),
                                  width, name_columns));
  }
  std::string text = lines_ > 0 ? "\x1b[" + std::to_string(lines_) + "A" : "";
  for (const std::string& line : lines) text += '\r' + line + "\x1b[K\n";
  text += "\x1b[J";
  lines_ = lines.size();
  std::cerr << text << std::flush;
}

void BatchProgress::erase() {
  if (lines_ == 0) return;
  std::cerr << "\x1b[" + std::to_string(lines_) + "A\r\x1b[J" << std::flush;
  lines_ = 0;
}

}  // namespace unroll
