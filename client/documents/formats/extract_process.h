// What unroll-extract may do: its work is done by a process without permissions, for which another one, which
// does not look at a byte, runs pdftotext.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace unroll::formats {

/// Gives up all but `permissions` (plugins/worker/sandbox.h) for good, and limits memory and the processor's
/// time. Throws std::system_error.
void enter_sandbox(std::uint32_t permissions, std::uint64_t seconds);

/// In the process that has none of them. Not thread-safe.
class PdfPrinter {
 public:
  PdfPrinter(std::string_view input, UniqueFd requests, UniqueFd answers);
  /// What `pdftotext -bbox-layout` prints of a PDF. All calls together have kMostSeconds. Throws Unreadable.
  std::string layout(std::string_view pdf);

 private:
  std::string_view input_;
  UniqueFd requests_, answers_;
};

/// Forks; the new process does `work`, whose result is its exit status, and this one runs pdftotext for it
/// and ends as it does. `input`: what standard input holds, mapped. Throws std::system_error.
[[noreturn]] void run_with_pdftotext(std::string_view input, const std::function<int(PdfPrinter&)>& work);

}  // namespace unroll::formats
