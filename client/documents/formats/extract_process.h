// What unroll-extract may do, and the process beside it that runs pdftotext, which it may not do itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace unroll::formats {

/// Gives up all but `permissions` (plugins/worker/sandbox.h) for good, and limits memory and the processor's
/// time. Throws std::system_error.
void enter_sandbox(std::uint32_t permissions, std::uint64_t seconds);

/// Not thread-safe.
class PdfPrinter {
 public:
  /// Starts the process; call it before enter_sandbox(). `input`: what standard input holds, mapped.
  explicit PdfPrinter(std::string_view input);
  /// What `pdftotext -bbox-layout` prints of a PDF. All calls together have kMostSeconds. Throws Unreadable.
  std::string layout(std::string_view pdf);

 private:
  std::string_view input_;
  UniqueFd requests_, answers_;
};

}  // namespace unroll::formats
