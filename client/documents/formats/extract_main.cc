// unroll-extract: turns the document on standard input, a regular file, into text on standard output
// (encode() of document_text.h). Started by open_document.cc. Before it looks at a byte, it gives up all
// permissions: no network, no writing, no processes, limited memory and time. PDFs are read by pdftotext
// under the same limits, if it is installed.
#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstring>
#include <iostream>
#include <new>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "base/write_all.h"
#include "client/documents/formats/extract.h"
#include "client/documents/formats/pdf.h"
#include "client/documents/kind.h"
#include "client/documents/limits.h"
#include "plugins/worker/sandbox.h"

namespace unroll {
namespace {

struct Arguments {
  std::string name;
  std::uint64_t begin = 0;
  formats::Options options;
};

Arguments arguments_of(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--name") arguments.name = value;
    if (key == "--begin") arguments.begin = std::stoull(value);
    if (key == "--keep-layout") arguments.options.keep_layout = value == "1";
    if (key == "--unwrap") arguments.options.unwrap = value == "1";
    if (key == "--encoding") arguments.options.encoding = value;
  }
  return arguments;
}

void enter_sandbox(std::uint32_t permissions) {
  const rlimit time{kMostSeconds, kMostSeconds};
  if (::setrlimit(RLIMIT_CPU, &time) != 0)
    throw std::system_error(errno, std::generic_category(), "setrlimit");
  if (const int error = ::unroll_sandbox_enter(permissions, kMostMemoryBytes))
    throw std::system_error(error, std::generic_category(), "cannot enter the sandbox");
}

/// What pdftotext prints of standard input. Is not looked at here.
std::string run_pdftotext() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t process = ::fork();
  if (process == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nothing, STDERR_FILENO);
    try {
      enter_sandbox(wire::kMayStartProcesses);
    } catch (const std::exception&) {
      ::_exit(126);
    }
    ::execlp("pdftotext", "pdftotext", "-q", "-bbox-layout", "-enc", "UTF-8", "-", "-", nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  const UniqueFd output(ends[0]);
  std::string layout;
  std::string buffer(std::size_t{64} << 10, '\0');
  for (;;) {
    const ssize_t got = ::read(output.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    layout.append(buffer.data(), static_cast<std::size_t>(got));
    if (layout.size() > kMostLayoutBytes) throw formats::Unreadable("is a PDF with too much text; split it");
  }
  int status = 0;
  ::waitpid(process, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    throw formats::Unreadable("is a PDF; install pdftotext (poppler-utils) to read it");
  if (status != 0)
    throw formats::Unreadable(
        "is a damaged or encrypted PDF, or takes more than " + std::to_string(kMostSeconds) + " s or " +
        std::to_string(kMostMemoryBytes >> 20) + " MiB to read: pdftotext failed; decrypt or split it");
  return layout;
}

void print(std::string_view bytes) {
  if (!write_all(STDOUT_FILENO, bytes)) throw std::system_error(errno, std::generic_category(), "write");
}

/// Standard input, mapped.
std::string_view input() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode))
    throw formats::Unreadable("is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
  if (data == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return {static_cast<const char*>(data), size};
}

void run(const Arguments& arguments) {
  std::string_view bytes = input();
  bytes.remove_prefix(std::min<std::size_t>(arguments.begin, bytes.size()));
  // Only the first bytes were looked at: a PDF needs a process, which is not permitted later.
  const bool pdf = look_at_kind(bytes.substr(0, kLookedAtBytes), arguments.name).kind == DocumentKind::kPdf;
  const std::string layout = pdf ? run_pdftotext() : "";
  enter_sandbox(0);
  print(encode(pdf ? formats::read_pdf_layout(layout, arguments.options)
                   : formats::extract(bytes, arguments.name, arguments.options)));
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "C.UTF-8");  // for names of members; its file cannot be read later
  try {
    unroll::run(unroll::arguments_of(argc, argv));
    return 0;
  } catch (const unroll::formats::Unreadable& error) {
    std::cerr << error.what();
  } catch (const std::bad_alloc&) {
    std::cerr << "needs more than " << (unroll::kMostMemoryBytes >> 20)
              << " MiB of memory to read, which is the limit; split it";
  } catch (const std::exception& error) {
    std::cerr << "cannot be read (" << error.what() << ")";
  }
  return 1;
}
