// An event of a log, for people.
#pragma once

#include <cstddef>
#include <string>

#include "client/cli/result_writer.h"
#include "client/logs/log_events.h"

namespace unroll {

/// A text as a terminal's line that has `before` columns already; the whole text if it goes elsewhere.
std::string fitting(const Terminal& terminal, const std::string& text, std::size_t before);

/// "lines 7 to 12"; empty if the event is one line.
std::string span_text(const LogEvent& event);

/// Its other lines, a few of them, as rows with `indent` blanks before them.
void write_neighbours(ResultWriter& writer, const LogEvent& event, std::size_t indent);

}  // namespace unroll
