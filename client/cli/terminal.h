// Properties of a terminal, and colours for it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace unroll {

struct Terminal {
  bool present = false;  ///< The descriptor is a terminal.
  bool moves = false;    ///< It can move the cursor: TERM is not "dumb".
  bool colour = false;   ///< NO_COLOR is not set and TERM is not "dumb".
  std::size_t width =
      80;  ///< Columns, 40 to 160; 80 if not a terminal, so that files do not depend on a window.
  std::size_t height = 24;  ///< Lines.
};

Terminal terminal_of(int descriptor);

/// `text` coloured from calm to hot by `heat` (0 to 1); unchanged if the terminal has no colour.
std::string heated(const Terminal& terminal, double heat, std::string_view text);
std::string bold(const Terminal& terminal, std::string_view text);
std::string dim(const Terminal& terminal, std::string_view text);

/// Surprise as heat: 0 at `low` bits per byte or less, 1 at `high` or more.
double heat_of(double value, double low, double high);

}  // namespace unroll
