#include "client/documents/formats/extract_process.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/write_all.h"
#include "client/documents/formats/text_builder.h"
#include "client/documents/limits.h"
#include "plugins/worker/sandbox.h"

namespace unroll::formats {
namespace {

/// How a call of pdftotext ended.
enum class End : std::uint32_t { kDone, kMissing, kFailed, kTooMuch };

std::array<UniqueFd, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// 0 at the end, and if it fails.
std::size_t read_some(int descriptor, std::span<char> bytes) {
  for (;;) {
    const ssize_t got = ::read(descriptor, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
}

bool read_all(int descriptor, std::span<char> bytes) {
  while (!bytes.empty()) {
    const auto got = read_some(descriptor, bytes);
    if (got == 0) return false;
    bytes = bytes.subspan(got);
  }
  return true;
}

template <typename Number>
std::optional<Number> read_number(int descriptor) {
  std::array<char, sizeof(Number)> bytes{};
  if (!read_all(descriptor, bytes)) return std::nullopt;
  return std::bit_cast<Number>(bytes);
}

template <typename Number>
bool write_number(int descriptor, Number number) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(Number)>>(number);
  return write_all(descriptor, {bytes.data(), bytes.size()});
}

/// The seconds of the processor that all calls of pdftotext have left.
std::uint64_t seconds_left() {
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  const auto seconds = static_cast<std::uint64_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  return kMostSeconds - std::min(seconds, kMostSeconds);
}

[[noreturn]] void run_pdftotext(int pdf, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(pdf, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  try {
    enter_sandbox(wire::kMayStartProcesses, seconds_left());
  } catch (const std::exception&) {
    ::_exit(126);
  }
  ::execlp("pdftotext", "pdftotext", "-q", "-bbox-layout", "-enc", "UTF-8", "-", "-", nullptr);
  ::_exit(127);
}

/// Passes on what pdftotext prints in frames: a length, and so many bytes. They are not looked at here.
End print(int pdf, int answers) {
  if (seconds_left() == 0) return End::kFailed;
  auto ends = make_pipe();
  const pid_t process = ::fork();
  if (process == 0) run_pdftotext(pdf, ends[1].get());
  ends[1] = UniqueFd();
  std::array<char, std::size_t{64} << 10> buffer;
  std::uint64_t printed = 0;
  while (printed <= kMostLayoutBytes) {
    const auto got = read_some(ends[0].get(), buffer);
    if (got == 0) break;
    printed += got;
    if (!write_number(answers, static_cast<std::uint32_t>(got)) || !write_all(answers, {buffer.data(), got}))
      ::_exit(1);  // nobody waits for it any more
  }
  if (printed > kMostLayoutBytes) ::kill(process, SIGKILL);
  int status = 0;
  ::waitpid(process, &status, 0);
  if (printed > kMostLayoutBytes) return End::kTooMuch;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return End::kMissing;
  return status == 0 ? End::kDone : End::kFailed;
}

/// A file with the next bytes of `requests`.
UniqueFd receive(int requests, std::uint64_t size) {
  UniqueFd file(::memfd_create("pdf", MFD_CLOEXEC));
  std::array<char, std::size_t{64} << 10> buffer;
  while (size > 0) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(size, buffer.size()));
    if (!file || !read_all(requests, part) || !write_all(file.get(), {part.data(), part.size()})) ::_exit(1);
    size -= part.size();
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

/// A request is the size of a PDF and its bytes; 0: it is standard input.
void serve(int requests, int answers) {
  while (const auto size = read_number<std::uint64_t>(requests)) {
    if (*size > kMostSourceBytes) return;
    const UniqueFd file = *size > 0 ? receive(requests, *size) : UniqueFd(::dup(STDIN_FILENO));
    const auto end = print(file.get(), answers);
    if (!write_number(answers, std::uint32_t{0}) || !write_number(answers, static_cast<std::uint32_t>(end)))
      return;
  }
}

/// As the other process did.
[[noreturn]] void end_as(pid_t process) {
  int status = 0;
  ::waitpid(process, &status, 0);
  if (WIFSIGNALED(status)) {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    std::signal(WTERMSIG(status), SIG_DFL);
    ::raise(WTERMSIG(status));
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

}  // namespace

void enter_sandbox(std::uint32_t permissions, std::uint64_t seconds) {
  const rlimit time{seconds, seconds};
  if (::setrlimit(RLIMIT_CPU, &time) != 0)
    throw std::system_error(errno, std::generic_category(), "setrlimit");
  if (const int error = ::unroll_sandbox_enter(permissions, kMostMemoryBytes))
    throw std::system_error(error, std::generic_category(), "cannot enter the sandbox");
}

PdfPrinter::PdfPrinter(std::string_view input, UniqueFd requests, UniqueFd answers)
    : input_(input), requests_(std::move(requests)), answers_(std::move(answers)) {}

std::string PdfPrinter::layout(std::string_view pdf) {
  const bool is_input = pdf.data() == input_.data() && pdf.size() == input_.size();
  if (!write_number(requests_.get(), is_input ? std::uint64_t{0} : std::uint64_t{pdf.size()}) ||
      (!is_input && !write_all(requests_.get(), pdf)))
    throw std::system_error(errno, std::generic_category(), "a PDF cannot be read");
  std::string layout;
  while (const auto size = read_number<std::uint32_t>(answers_.get()).value_or(0)) {
    const auto before = layout.size();
    layout.resize(before + size);
    if (!read_all(answers_.get(), std::span(layout).subspan(before))) break;
  }
  switch (static_cast<End>(
      read_number<std::uint32_t>(answers_.get()).value_or(static_cast<std::uint32_t>(End::kFailed)))) {
    case End::kDone:
      return layout;
    case End::kMissing:
      throw Unreadable("is a PDF; install pdftotext (poppler-utils) to read it");
    case End::kTooMuch:
      throw Unreadable("is a PDF with too much text; split it");
    default:
      throw Unreadable("is a damaged or encrypted PDF, or takes more than " + std::to_string(kMostSeconds) +
                       " s or " + std::to_string(kMostMemoryBytes >> 20) +
                       " MiB to read: pdftotext failed; decrypt or split it");
  }
}

void run_with_pdftotext(std::string_view input, const std::function<int(PdfPrinter&)>& work) {
  auto [requests_out, requests_in] = make_pipe();
  auto [answers_out, answers_in] = make_pipe();
  const pid_t parent = ::getpid(), process = ::fork();
  if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    requests_out = UniqueFd();
    answers_in = UniqueFd();
    PdfPrinter printer(input, std::move(requests_in), std::move(answers_out));
    std::exit(work(printer));
  }
  requests_in = UniqueFd();  // so that serve() sees the end
  answers_out = UniqueFd();
  serve(requests_out.get(), answers_in.get());
  answers_in = UniqueFd();
  end_as(process);
}

}  // namespace unroll::formats
