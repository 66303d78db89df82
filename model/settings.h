// What --set KEY=VALUE sets: how a model reads, over what its checkpoint says.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace unroll {

/// By key. Which keys a model has is its configuration's to say; another one is an error.
using ModelSettings = std::map<std::string, std::int64_t>;

/// Adds one that is written "KEY=VALUE", in the place of an earlier one. Throws std::runtime_error that
/// quotes it.
void add_setting(std::string_view text, ModelSettings& settings);
/// Several, separated by commas.
ModelSettings parse_settings(std::string_view list);

/// Far above any use, far below where a product of two of them overflows.
inline constexpr std::int64_t kMaxBlockWidth = 1 << 14;
inline constexpr std::int64_t kMaxMemoryBlocks = 1 << 10;
inline constexpr std::int64_t kMaxCacheTokens = 1 << 24;

}  // namespace unroll
