// Fields in a line of text: key=value (logfmt), key: value.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "plugins/builtin/records/levels.h"

namespace unroll::records {

struct Pair {
  std::string_view key, value;  ///< Value: without quotes.
  std::size_t at = 0;           ///< Where the key begins.
  std::size_t end = 0;          ///< After the value, and its quote.
};

/// The first pair that begins at or after `from`: a word, '=', a word or a quoted text.
std::optional<Pair> next_pair(std::string_view line, std::size_t from);

/// The level in a line of pairs (ts=... level=error), or where a field begins: `level=error text`,
/// `[severity: 3]`, `"level":50`. Keys that are options (--log-level=error) do not count.
std::optional<WrittenLevel> level_by_key(std::string_view line);

}  // namespace unroll::records
