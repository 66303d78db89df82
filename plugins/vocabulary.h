// What the model's token ids stand for, for plugins that ask (UNROLL_EXTENSION_VOCABULARY): one copy, in
// memory that workers share. Immutable; safe to share between threads.
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
  /// As a worker gets it. Throws wire::Error where it is not one.
  PluginVocabulary(UniqueFd memory, std::uint64_t count);

  std::int32_t count() const { return count_; }
  /// The bytes of a token, NULL data where there is no such id.
  std::string_view token(std::int32_t id) const;
  int descriptor() const { return memory_.descriptor(); }

 private:
  const std::uint64_t* offsets() const { return reinterpret_cast<const std::uint64_t*>(memory_.data()); }

  std::int32_t count_;
  SharedMemory memory_;  // offsets[count + 1], then the bytes
};

}  // namespace unroll
