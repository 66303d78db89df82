#include "client/follow/printed_lines.h"

#include <algorithm>
#include <cstdint>
#include <optional>

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

std::string rest_behind(std::uint64_t place, std::uint64_t size) {
  if (size < place || size - place > kLargestRest) return "";
  const UniqueFd file(::open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC));
  std::string rest(size - place, '\0');
  const ssize_t got = file ? ::pread(file.get(), rest.data(), rest.size(), static_cast<off_t>(place)) : 0;
  rest.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return rest;
}

}  // namespace

PrintedLines::PrintedLines(const nlohmann::json& recorded) : writer_("") {
  const auto file = output_file();
  if (!file || !recorded.is_object()) return;
  nlohmann::json now = place_of(*file);
  const std::uint64_t size = now.at("size").get<std::uint64_t>();
  now["size"] = recorded.value("size", std::uint64_t{0});
  if (now == recorded) printed_ = rest_behind(now["size"].get<std::uint64_t>(), size);
}

void PrintedLines::line(std::string_view text) {
  std::string whole(text);
  whole += '\n';
  const std::size_t common = std::min(whole.size(), printed_.size());
  if (whole.compare(0, common, printed_, 0, common) != 0) {
    printed_.clear();  // lines of another program
    writer_.write(whole);
    return;
  }
  printed_.erase(0, common);
  writer_.write(std::string_view(whole).substr(common));  // completes a line that was cut off
}

nlohmann::json PrintedLines::record() {
  writer_.flush();
  const auto file = output_file();
  if (!file) return {};
  nlohmann::json place = place_of(*file);
  place["size"] =
      static_cast<std::uint64_t>(file->st_size) - printed_.size();  // what may come again is after it
  return place;
}

}  // namespace unroll
