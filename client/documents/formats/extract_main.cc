// unroll-extract: turns the document on standard input, a regular file, into text on standard output
// (encode() of document_text.h). Started by open_document.cc. Before it looks at a byte, it gives up all
// permissions: no network, no writing, no processes, limited memory and time. PDFs, also in archives, are
// read by pdftotext under the same limits, if it is installed.
#include <algorithm>
#include <cerrno>
#include <clocale>
#include <functional>
#include <iostream>
#include <new>
#include <string>
#include <system_error>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/write_all.h"
#include "client/documents/formats/extract.h"
#include "client/documents/formats/extract_process.h"
#include "client/documents/limits.h"

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

void run(const Arguments& arguments, std::string_view whole, formats::PdfPrinter& printer) {
  formats::enter_sandbox(0, kMostSeconds);
  auto options = arguments.options;
  options.pdf_layout = [&printer](std::string_view pdf) { return printer.layout(pdf); };
  const auto bytes = whole.substr(std::min<std::size_t>(arguments.begin, whole.size()));
  print(encode(formats::extract(bytes, arguments.name, options)));
}

/// Returns the exit status, and says why it is none of success.
int guard(const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const formats::Unreadable& error) {
    std::cerr << error.what();
  } catch (const std::bad_alloc&) {
    std::cerr << "needs more than " << (kMostMemoryBytes >> 20)
              << " MiB of memory to read, which is the limit; split it";
  } catch (const std::exception& error) {
    std::cerr << "cannot be read (" << error.what() << ")";
  }
  return 1;
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  using namespace unroll;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // for names of members; its file cannot be read later
  return guard([&] {
    const auto arguments = arguments_of(argc, argv);
    const auto whole = input();
    formats::run_with_pdftotext(
        whole, [&](formats::PdfPrinter& printer) { return guard([&] { run(arguments, whole, printer); }); });
  });
}
