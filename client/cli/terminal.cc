#include "client/cli/terminal.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace unroll {
namespace {

/// NO_COLOR counts if it is set and not empty (no-color.org).
bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

bool knows_escape_codes() {
  const char* term = std::getenv("TERM");
  return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

std::string in_style(const Terminal& terminal, std::string_view style, std::string_view text) {
  if (!terminal.colour) return std::string(text);
  return "\x1b[" + std::string(style) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace

Terminal terminal_of(int descriptor) {
  Terminal terminal;
  terminal.present = ::isatty(descriptor) == 1;
  if (!terminal.present) return terminal;
  terminal.moves = knows_escape_codes();
  terminal.colour = terminal.moves && colour_wanted();
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = std::clamp<std::size_t>(size.ws_col, 40, 160);
    terminal.height = std::max<std::size_t>(size.ws_row, 2);
  }
  return terminal;
}

std::string heated(const Terminal& terminal, double heat, std::string_view text) {
  // Of the 256 colours: green, yellow-green, yellow, orange, red. Readable on light and dark backgrounds.
  constexpr std::array<std::string_view, 6> kRamp = {"38;5;35",  "38;5;70",  "38;5;142",
                                                     "38;5;172", "38;5;166", "1;38;5;160"};
  const auto step = static_cast<std::size_t>(std::clamp(heat, 0.0, 1.0) * (kRamp.size() - 1) + 0.5);
  return in_style(terminal, kRamp.at(step), text);
}

std::string bold(const Terminal& terminal, std::string_view text) {
  return in_style(terminal, "1", text);
}

std::string dim(const Terminal& terminal, std::string_view text) {
  return in_style(terminal, "2", text);
}

double heat_of(double value, double low, double high) {
  return std::clamp((value - low) / (high - low), 0.0, 1.0);
}

}  // namespace unroll
