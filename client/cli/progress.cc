#include "client/cli/progress.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <utility>

#include <unistd.h>

#include "client/cli/text.h"

namespace unroll {
namespace {

constexpr std::size_t kBarColumns = 24;
constexpr std::size_t kNarrow = 79, kNarrowBarColumns = 6;
constexpr std::size_t kNameColumns = 28;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string bar(double share, std::size_t columns) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(columns));
  std::string text(filled, '=');
  if (filled < columns) text += '>';
  return '[' + left(text, columns) + ']';
}

std::string shown_name(const std::string& name) {
  return cut(one_line(name), kNameColumns);
}

}  // namespace

std::string progress_text(const std::string& name, const ReadProgress& progress, double bytes_per_second,
                          std::size_t width, std::size_t name_columns) {
  const auto bytes = static_cast<double>(progress.bytes);
  std::string line = left(shown_name(name), name_columns);
  if (progress.total_bytes && *progress.total_bytes > 0) {
    const auto total = static_cast<double>(*progress.total_bytes);
    const double share = std::min(1.0, bytes / total);
    line += "  " + progress_bar(share, width) + "  " + readable_bytes(bytes) + " of " + readable_bytes(total);
  } else {
    line += "  " + readable_bytes(bytes);
  }
  line += "  " + with_thousands(static_cast<std::uint64_t>(std::max(0.0, progress.tokens_per_second))) +
          " tokens/s";
  if (progress.total_bytes && bytes_per_second > 0) {
    const double rest = static_cast<double>(*progress.total_bytes) - bytes;
    line += "  " + readable_seconds(rest / bytes_per_second) + " left";
  }
  return cut(line, width);
}

std::string transfer_text(const std::string& name, std::uint64_t bytes, std::uint64_t total,
                          double bytes_per_second, std::size_t width) {
  const auto there = static_cast<double>(bytes), all = static_cast<double>(total);
  std::string figures = "  " + readable_bytes(there) + " of " + readable_bytes(all);
  if (bytes_per_second > 0)
    figures += "  " + readable_bytes(bytes_per_second) + "/s  " +
               readable_seconds((all - there) / bytes_per_second) + " left";
  const double share = all > 0 ? std::min(1.0, there / all) : 0;
  const auto with_bar = [&](std::size_t columns) {
    return shown_name(name) + "  " + progress_bar(share, columns) + figures;
  };
  const auto wide = with_bar(width);
  return cut(columns(wide) <= width ? wide : with_bar(0), width);
}

std::string progress_bar(double share, std::size_t width) {
  return bar(share, width < kNarrow ? kNarrowBarColumns : kBarColumns) + right(fixed(100 * share, 0), 5) +
         " %";
}

std::size_t progress_name_columns(const std::string& name) {
  return columns(shown_name(name));
}

Progress::Progress(std::string name)
    : name_(std::filesystem::path(std::move(name)).filename()),
      terminal_(terminal_of(STDERR_FILENO)),
      started_(now()) {}

void Progress::update(const ReadProgress& progress) {
  const bool news = std::exchange(tokens_, progress.tokens) != progress.tokens;
  if (!terminal_.present || (!shown_ && !news)) return;
  const double seconds = now() - started_;
  const double rate = seconds > 0 ? static_cast<double>(progress.bytes) / seconds : 0;
  draw(progress_text(name_, progress, rate, terminal_.width - 1));
}

void Progress::transferred(std::uint64_t bytes, std::uint64_t total) {
  if (!first_bytes_) first_bytes_ = bytes;
  if (!terminal_.present) return;
  const double seconds = now() - started_;
  const double rate = seconds > 0 ? static_cast<double>(bytes - std::min(bytes, *first_bytes_)) / seconds : 0;
  draw(transfer_text(name_, bytes, total, rate, terminal_.width - 1));
}

void Progress::draw(const std::string& text) {
  // One column is left free: a full line would make some terminals wrap. Spaces cover what was there before,
  // which needs no escape codes.
  std::cerr << '\r' << left(text, terminal_.width - 1) << std::flush;
  shown_ = true;
}

void Progress::note(const std::string& text) {
  if (!terminal_.present) return;
  hide();
  std::cerr << "unroll: " << one_line(text) << std::endl;
}

void Progress::hide() {
  if (!shown_) return;
  std::cerr << '\r' << std::string(terminal_.width - 1, ' ') << '\r' << std::flush;
  shown_ = false;
}

}  // namespace unroll
