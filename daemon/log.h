// The daemon's log.
#pragma once

#include <string>
#include <string_view>

namespace unroll {

/// Makes text safe for one log line. File names and plugin texts could otherwise forge log lines or send
/// escape sequences to a terminal. Control characters, newlines, marks that change the writing direction, and
/// bytes that are not UTF-8 become U+FFFD.
std::string log_text(std::string_view text);

/// Logs to journald, with the priority as a field, if it listens; else to stderr. Every message goes through
/// log_text().
void start_log(const std::string& level);

}  // namespace unroll
