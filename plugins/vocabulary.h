// The bytes of the model's token ids, for plugins that ask (UNROLL_EXTENSION_VOCABULARY): one copy, in memory
// shared with workers. Immutable and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/worker/arena.h"

namespace unroll {

class PluginVocabulary {
 public:
  explicit PluginVocabulary(const std::vector<std::string>& tokens);
  /// In a worker: maps the host's memory. Throws wire::Error if its content is invalid.
  PluginVocabulary(UniqueFd memory, std::uint64_t count);

  std::int32_t count() const { return count_; }
  /// The bytes of a token; null data if there is no such id.
  std::string_view token(std::int32_t id) const;
  int descriptor() const { return memory_.descriptor(); }

 private:
  const std::uint64_t* offsets() const { return reinterpret_cast<const std::uint64_t*>(memory_.data()); }

  std::int32_t count_;
  SharedMemory memory_;  // offsets[count + 1], then the bytes
};

}  // namespace unroll
