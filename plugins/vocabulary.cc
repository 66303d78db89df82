#include "plugins/vocabulary.h"

#include <cstring>
#include <limits>

#include <sys/stat.h>

namespace unroll {
namespace {

std::size_t table_bytes(std::size_t count) {
  return (count + 1) * sizeof(std::uint64_t);
}

std::size_t bytes_of(const std::vector<std::string>& tokens) {
  std::size_t bytes = table_bytes(tokens.size());
  for (const auto& token : tokens) bytes += token.size();
  return bytes;
}

std::size_t size_of(const UniqueFd& file) {
  struct stat status {};
  return ::fstat(file.get(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace

PluginVocabulary::PluginVocabulary(const std::vector<std::string>& tokens)
    : count_(static_cast<std::int32_t>(tokens.size())), memory_(bytes_of(tokens)) {
  std::byte* bytes = memory_.data() + table_bytes(tokens.size());
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::memcpy(memory_.data() + i * sizeof end, &end, sizeof end);
    if (!tokens[i].empty()) std::memcpy(bytes + end, tokens[i].data(), tokens[i].size());
    end += tokens[i].size();
  }
  std::memcpy(memory_.data() + tokens.size() * sizeof end, &end, sizeof end);
}

PluginVocabulary::PluginVocabulary(UniqueFd memory, std::uint64_t count)
    : count_(static_cast<std::int32_t>(count)), memory_([&] {
        const auto size = size_of(memory);
        return SharedMemory(std::move(memory), size);
      }()) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
  if (count > kMost || memory_.size() < table_bytes(count)) throw wire::Error("a vocabulary that is cut off");
  const std::uint64_t limit = memory_.size() - table_bytes(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (offsets()[i] > offsets()[i + 1]) throw wire::Error("a vocabulary whose offsets go back");
  }
  if (offsets()[count] > limit) throw wire::Error("a vocabulary that is cut off");
}

std::string_view PluginVocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= count_) return {};
  const auto* bytes =
      reinterpret_cast<const char*>(memory_.data()) + table_bytes(static_cast<std::size_t>(count_));
  return {bytes + offsets()[id], offsets()[id + 1] - offsets()[id]};
}

}  // namespace unroll
