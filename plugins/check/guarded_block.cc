#include "plugins/check/guarded_block.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugins/check/isolated.h"

namespace unroll::check {
namespace {

// All blocks lie in one address range, reserved once, so that their faults can be recognised.
constexpr std::size_t kRange = std::size_t{1} << 34;
constexpr std::size_t kAlignment = 64;
char* range = nullptr;
char* next_free = nullptr;
const char* lent_begin = nullptr;
const char* lent_end = nullptr;
struct sigaction before;

void on_fault(int signal, siginfo_t* info, void*) {
  const auto* at = static_cast<const char*>(info->si_addr);
  if (at < range || at >= range + kRange) {
    ::sigaction(signal, &before, nullptr);  // not a block: it faults again, with the former handler
    return;
  }
  const bool lent = at >= lent_begin && at < lent_end;
  (lent ? progress().wrote_block : progress().read_late) = true;
  ::_exit(1);
}

void take_range() {
  if (range != nullptr) return;
  void* taken = ::mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  range = next_free = static_cast<char*>(taken);
  struct sigaction action {};
  action.sa_sigaction = &on_fault;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &action, &before);
}

std::size_t aligned(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

GuardedBlock::GuardedBlock(SyntheticBlock block) : block_(std::move(block)) {
  take_range();
  memory_ = next_free;
  view_ = block_.view();
  tensor_ = *view_.hidden;
  std::size_t at = 0;
  const auto place = [&](const void* data, std::size_t bytes, bool copy) -> void* {
    char* to = memory_ + at;
    if (copy && bytes > 0) std::memcpy(to, data, bytes);
    at += aligned(bytes, kAlignment);
    return to;
  };
  const auto place_all = [&](bool copy) {
    at = 0;
    const auto list = [&](auto& from) { return place(from.data(), from.size() * sizeof from[0], copy); };
    view_.tokens = static_cast<const std::int32_t*>(list(block_.tokens));
    view_.offsets = static_cast<const std::uint64_t*>(list(block_.offsets));
    view_.logprobs = static_cast<const float*>(list(block_.logprobs));
    view_.entropy = static_cast<const float*>(list(block_.entropy));
    view_.word_end = static_cast<const float*>(list(block_.word_end));
    view_.ranks = static_cast<const std::int32_t*>(list(block_.ranks));
    tensor_.data = list(block_.hidden);
    view_.text = static_cast<const char*>(list(block_.text));
    view_.top_ids = static_cast<const std::int32_t*>(list(block_.top_ids));
    view_.top_logprobs = static_cast<const float*>(list(block_.top_logprobs));
    view_.hidden = static_cast<const unroll_tensor*>(place(&tensor_, sizeof tensor_, copy));
  };
  place_all(false);
  bytes_ = aligned(at, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  next_free = memory_ + bytes_;
  if (next_free > range + kRange) throw std::length_error("a check's documents are larger than expected");
  protect(PROT_READ | PROT_WRITE);
  place_all(true);
  protect(PROT_NONE);
}

const unroll_block& GuardedBlock::lend() {
  lent_begin = memory_;
  lent_end = memory_ + bytes_;
  protect(PROT_READ);
  return view_;
}

void GuardedBlock::take_back() {
  lent_begin = lent_end = nullptr;
  protect(PROT_NONE);
}

void GuardedBlock::protect(int protection) {
  if (::mprotect(memory_, bytes_, protection) != 0) {
    throw std::system_error(errno, std::generic_category(), "mprotect");
  }
}

}  // namespace unroll::check
