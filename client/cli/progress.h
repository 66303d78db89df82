// The progress bar on standard error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/terminal.h"
#include "client/reading/reader.h"

namespace unroll {

/// "GPL-3  [=====>     ]  52 %  18.1 KiB of 34.3 KiB  4,123 tokens/s  0:07 left", cut to `width` columns. If
/// the total is unknown, without the bar, the share and the time. The name takes at least `name_columns`.
std::string progress_text(const std::string& name, const ReadProgress& progress, double bytes_per_second,
                          std::size_t width, std::size_t name_columns = 0);
/// For bytes from a network: "NAME  [=====>     ]  52 %  48.1 MiB of 88.6 MiB  9.1 MiB/s  0:04 left".
std::string transfer_text(const std::string& name, std::uint64_t bytes, std::uint64_t total,
                          double bytes_per_second, std::size_t width);
/// The middle of such a line: "[=====>     ]  52 %"; narrower on lines of few columns.
std::string progress_bar(double share, std::size_t width);
/// The number of columns of a name alone.
std::size_t progress_name_columns(const std::string& name);

/// Draws only if standard error is a terminal. One thread.
class Progress {
 public:
  explicit Progress(std::string name);
  ~Progress() { hide(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const ReadProgress& progress);
  /// `total`: of all bytes; the speed is that of the bytes since the first call.
  void transferred(std::uint64_t bytes, std::uint64_t total);
  /// Writes a line of its own, only on a terminal.
  void note(const std::string& text);
  /// Clears the line so that something else can be written; the next update with news draws it again.
  void hide();

 private:
  void draw(const std::string& text);

  std::string name_;
  Terminal terminal_;
  double started_;
  std::uint64_t tokens_ = 0;                  ///< Of the last update.
  std::optional<std::uint64_t> first_bytes_;  ///< In transferred(): bytes that were already there.
  bool shown_ = false;
};

}  // namespace unroll
