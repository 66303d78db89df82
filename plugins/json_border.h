// Checks plugins' outputs and prepares them for NDJSON streams.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace unroll {

inline constexpr std::size_t kMaxOutputBytes = 16u << 20;  ///< Of one output of a plugin.
inline constexpr int kMaxOutputDepth = 100;                ///< Nesting of arrays and objects.

/// Why `json` cannot be an output (empty: it can): not one JSON value in UTF-8, too long, nested too deep.
std::string output_fault(std::string_view json);

/// A valid JSON text on one line: unchanged if it has no newline, else without the whitespace between its
/// tokens.
std::string without_line_ends(std::string_view json);

}  // namespace unroll
