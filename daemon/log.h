// The daemon's log.
#pragma once

#include <string>
#include <string_view>

namespace unroll {

/// One line that moves no cursor: what others chose (names of files, texts of plugins) could else forge lines
/// of the log, or speak to the terminal that shows it. Control characters, line ends, marks that turn the
/// direction of writing, and bytes that are not UTF-8 become U+FFFD.
std::string log_text(std::string_view text);

/// To journald with its priority as a field if it listens; else to stderr, for a person. Every message goes
/// through log_text().
void start_log(const std::string& level);

}  // namespace unroll
