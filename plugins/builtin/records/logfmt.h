// key=value pairs in a line (logfmt).
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

/// The level in a line with at least two pairs.
std::optional<WrittenLevel> level_of_logfmt(std::string_view line);

}  // namespace unroll::records
