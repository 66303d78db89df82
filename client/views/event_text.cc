#include "client/views/event_text.h"

#include <algorithm>

#include "client/cli/text.h"

namespace unroll {

std::string fitting(const Terminal& terminal, const std::string& text, std::size_t before) {
  const std::string line = one_line(text);
  return terminal.present ? cut(line, terminal.width - std::min(before, terminal.width)) : line;
}

std::string span_text(const LogEvent& event) {
  if (event.first_line == event.last_line) return "";
  return "lines " + std::to_string(event.first_line) + " to " + std::to_string(event.last_line);
}

void write_neighbours(ResultWriter& writer, const LogEvent& event, std::size_t indent) {
  constexpr std::size_t kShown = 3;
  const Terminal& terminal = writer.terminal();
  for (std::size_t i = 0; i < std::min(kShown, event.neighbours.size()); ++i) {
    const auto& line = event.neighbours[i];
    const std::string row = std::string(indent, ' ') + "with " + std::to_string(line.line) + ": ";
    writer.write(dim(terminal, row + fitting(terminal, line.text, columns(row))) + "\n");
  }
  if (event.neighbours.size() <= kShown) return;
  const bool all = event.neighbours.size() < LogEvent::kMostListed;
  writer.write(dim(terminal, std::string(indent, ' ') + "and " +
                                 std::to_string(event.neighbours.size() - kShown) + (all ? "" : " or more") +
                                 " other lines") +
               "\n");
}

}  // namespace unroll
