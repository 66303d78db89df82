#include "client/follow/kept_text.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

// More than a reader can have accepted and not committed: its input buffer of a document, and the blocks of a
// commit.
constexpr std::size_t kKeptBytes = std::size_t{4} << 20;
constexpr std::uint64_t kMostFileBytes = 4 * kKeptBytes;

/// The file is a sequence of these: a line of JSON, the bytes, a newline.
std::string entry(std::uint64_t at, std::string_view bytes, const nlohmann::json& place) {
  std::string text = nlohmann::json{{"at", at}, {"bytes", bytes.size()}, {"place", place}}.dump() + "\n";
  text += bytes;
  return text += '\n';
}

}  // namespace

KeptText::KeptText(std::filesystem::path file) : path_(std::move(file)) {
  load();
  file_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)) != 0) fail(errno);
}

void KeptText::fail(int error) const {
  throw CommandError(system_message("cannot write " + path_.string(), error) +
                     "; name a writable folder with --state");
}

void KeptText::load() {
  std::ifstream in(path_, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t at = 0; at < all.size(); at = static_cast<std::size_t>(file_bytes_)) {
    const std::size_t newline = all.find('\n', at);
    if (newline == std::string::npos) break;
    const auto head =
        nlohmann::json::parse(all.begin() + static_cast<std::ptrdiff_t>(at),
                              all.begin() + static_cast<std::ptrdiff_t>(newline), nullptr, false);
    if (!head.is_object() || !head.contains("place") || !head.contains("at") ||
        !head["at"].is_number_unsigned() || !head.contains("bytes") || !head["bytes"].is_number_unsigned())
      break;
    const auto size = head["bytes"].get<std::uint64_t>();
    if (size >= all.size() - newline || all.size() - newline - size < 2) break;  // cut off
    if (head["at"] != begin_ + bytes_.size()) bytes_.clear();
    if (bytes_.empty()) begin_ = head["at"].get<std::uint64_t>();
    bytes_.append(all, newline + 1, static_cast<std::size_t>(size));
    place_ = head["place"];
    file_bytes_ = newline + size + 2;
  }
  drop_old();
}

/// Drops half at a time, so that each byte is moved about once.
void KeptText::drop_old() {
  if (bytes_.size() <= 2 * kKeptBytes) return;
  begin_ += bytes_.size() - kKeptBytes;
  bytes_.erase(0, bytes_.size() - kKeptBytes);
}

void KeptText::add(std::string_view bytes, nlohmann::json place) {
  const std::lock_guard lock(mutex_);
  const std::string text = entry(begin_ + bytes_.size(), bytes, place);
  if (!write_all(file_.get(), text)) fail(errno);
  file_bytes_ += text.size();
  bytes_ += bytes;
  place_ = std::move(place);
  drop_old();
  if (file_bytes_ > kMostFileBytes) write_anew();
}

void KeptText::write_anew() {
  const std::string text = entry(begin_, bytes_, place_);
  AtomicFile fresh(path_, 0600);
  fresh.write(text);
  fresh.commit();
  file_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file_) fail(errno);
  file_bytes_ = text.size();
}

std::string KeptText::text(std::uint64_t begin, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  if (begin < begin_ || end > begin_ + bytes_.size() || end < begin) return "";
  return bytes_.substr(static_cast<std::size_t>(begin - begin_), static_cast<std::size_t>(end - begin));
}

std::uint64_t KeptText::begin() const {
  const std::lock_guard lock(mutex_);
  return begin_;
}

std::uint64_t KeptText::end() const {
  const std::lock_guard lock(mutex_);
  return begin_ + bytes_.size();
}

nlohmann::json KeptText::place() const {
  const std::lock_guard lock(mutex_);
  return place_;
}

void KeptText::begin_document_at(std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t within = std::min<std::uint64_t>(offset < begin_ ? 0 : offset - begin_, bytes_.size());
  const std::size_t newline =
      within == 0 ? std::string::npos : bytes_.rfind('\n', static_cast<std::size_t>(within) - 1);
  bytes_.erase(0, newline == std::string::npos ? 0 : newline + 1);
  begin_ = 0;
  write_anew();
}

}  // namespace unroll
