// --set KEY=VALUE: how a model reads, overriding its checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace unroll {

/// By key. The model's configuration defines its keys; any other one is an error.
using ModelSettings = std::map<std::string, std::int64_t>;

/// Adds a setting written as "KEY=VALUE", replacing an earlier one. Throws std::runtime_error that quotes it.
void add_setting(std::string_view text, ModelSettings& settings);
/// Parses settings separated by commas.
ModelSettings parse_settings(std::string_view list);

/// Far above any use, far below the point at which a product of two of them overflows.
inline constexpr std::int64_t kMaxBlockWidth = 1 << 14;
inline constexpr std::int64_t kMaxMemoryBlocks = 1 << 10;
inline constexpr std::int64_t kMaxCacheTokens = 1 << 24;

}  // namespace unroll
