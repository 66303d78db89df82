#include "client/follow/printed_lines.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace unroll {
namespace {

constexpr std::uint64_t kLargestRest = 64 << 20;  // far more than is printed between two records

std::optional<struct stat> output_file() {
  struct stat status {};
  if (::fstat(STDOUT_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return status;
}

nlohmann::json place_of(const struct stat& file) {
  return {{"device", file.st_dev}, {"inode", file.st_ino}, {"size", file.st_size}};
}

std::string rest_after(std::uint64_t place, std::uint64_t size) {
  if (size < place || size - place > kLargestRest) return "";
  const UniqueFd file(::open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC));
  std::string rest(size - place, '\0');
  const ssize_t got = file ? ::pread(file.get(), rest.data(), rest.size(), static_cast<off_t>(place)) : 0;
  rest.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return rest;
}

}  // namespace

void OutputLines::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  std::string whole(text);
  whole += '\n';
  const std::string cut_off = std::exchange(cut_off_, {});
  written_ = true;
  if (cut_off.empty()) return writer_.write(whole);
  if (whole.starts_with(cut_off)) return writer_.write(std::string_view(whole).substr(cut_off.size()));
  writer_.write("\n" + whole);
}

void OutputLines::flush() {
  const std::lock_guard lock(mutex_);
  writer_.flush();
}

nlohmann::json OutputLines::place() {
  const std::lock_guard lock(mutex_);
  writer_.flush();
  const auto file = output_file();
  return file ? place_of(*file) : nlohmann::json();
}

std::unordered_multiset<std::string> OutputLines::lines_after(const nlohmann::json& place) {
  const std::lock_guard lock(mutex_);
  const auto file = output_file();
  if (!file || !place.is_object()) return {};
  nlohmann::json now = place_of(*file);
  const std::uint64_t size = now.at("size").get<std::uint64_t>();
  now["size"] = place.value("size", std::uint64_t{0});
  if (now != place) return {};
  std::unordered_multiset<std::string> lines;
  const std::string rest = rest_after(now["size"].get<std::uint64_t>(), size);
  std::size_t begin = 0;
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
    lines.insert(rest.substr(begin, end - begin));
    begin = end + 1;
  }
  if (!written_) cut_off_ = rest.substr(begin);
  return lines;
}

PrintedLines::PrintedLines(OutputLines& out, const nlohmann::json& recorded,
                           const std::function<bool(std::string_view)>& is_own)
    : out_(out), recorded_(recorded), printed_(out.lines_after(recorded)) {
  std::erase_if(printed_, [&](const std::string& line) { return !is_own(line); });
}

void PrintedLines::line(std::string_view text) {
  if (const auto same = printed_.find(std::string(text)); same != printed_.end()) {
    printed_.erase(same);
    return;
  }
  printed_.clear();  // each source prints in order, so none after it was printed
  out_.line(text);
}

nlohmann::json PrintedLines::record() {
  nlohmann::json place = out_.place();
  if (printed_.empty()) recorded_ = std::move(place);  // else lines after the recorded place may come again
  return recorded_;
}

}  // namespace unroll
