#include "client/follow/journald.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <systemd/sd-journal.h>

#include "client/cli/command_error.h"

namespace unroll {
namespace {

constexpr std::size_t kLongestMessage = 64 * 1024;

void check(int result, const std::string& what) {
  if (result >= 0) return;
  throw CommandError(system_message("cannot " + what + " the journal", -result) +
                     (result == -EACCES || result == -EPERM ? "; join the group systemd-journal" : ""));
}

std::string full_name(const std::string& unit) {
  return unit.find('.') == std::string::npos ? unit + ".service" : unit;
}

/// Escapes newlines.
std::string escaped(std::string_view message) {
  std::string line;
  for (const char c : message.substr(0, kLongestMessage)) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

void JournaldLines::Close::operator()(sd_journal* journal) const {
  ::sd_journal_close(journal);
}

JournaldLines::JournaldLines(const JournaldOptions& options) {
  sd_journal* journal = nullptr;
  check(options.directory.empty() ? ::sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY)
                                  : ::sd_journal_open_directory(&journal, options.directory.c_str(), 0),
        "open");
  journal_.reset(journal);
  check(::sd_journal_set_data_threshold(journal, 0), "read");
  check(::sd_journal_get_fd(journal), "watch");
  add_matches(options.units);
  check(::sd_journal_seek_head(journal), "read");
}

/// Matches what a unit wrote and what the service manager (of the system or a user) logged about it.
void JournaldLines::add_matches(const std::vector<std::string>& units) {
  for (const std::string& unit : units) {
    const std::string name = full_name(unit);
    const auto match = [&](const std::string& text) {
      check(::sd_journal_add_match(journal_.get(), text.c_str(), 0), "search");
    };
    for (const char* field : {"_SYSTEMD_UNIT=", "_SYSTEMD_USER_UNIT=", "USER_UNIT="}) {
      match(field + name);
      check(::sd_journal_add_disjunction(journal_.get()), "search");
    }
    match("UNIT=" + name);
    match("_PID=1");
    check(::sd_journal_add_disjunction(journal_.get()), "search");
  }
}

void JournaldLines::go_to_end() {
  check(::sd_journal_seek_tail(journal_.get()), "read");
  // After the last entry, so that the next step returns one that is written from now on.
  check(::sd_journal_previous(journal_.get()), "read");
}

bool JournaldLines::go_to(const std::string& cursor) {
  check(::sd_journal_seek_cursor(journal_.get(), cursor.c_str()), "read");
  at_entry_ = step();
  return at_entry_ && ::sd_journal_test_cursor(journal_.get(), cursor.c_str()) > 0;
}

bool JournaldLines::step() {
  const int moved = ::sd_journal_next(journal_.get());
  check(moved, "read");
  return moved > 0;
}

std::optional<std::string> JournaldLines::next() {
  while (at_entry_ || step()) {
    at_entry_ = false;
    const std::string message = field("MESSAGE");
    if (message.empty()) continue;
    std::string name = field("SYSLOG_IDENTIFIER");
    if (name.empty()) name = field("_COMM");
    std::string process = field("SYSLOG_PID");
    if (process.empty()) process = field("_PID");
    if (!process.empty()) process = "[" + process + "]";
    return priority() + escaped(name + process + ": " + message) + "\n";
  }
  return std::nullopt;
}

/// As syslog writes it, <3>. What a service prints has priority 6, whatever it says, unless it states
/// another.
std::string JournaldLines::priority() const {
  const std::string priority = field("PRIORITY");
  const bool stated = priority.size() == 1 && priority[0] >= '0' && priority[0] <= '7' &&
                      (priority != "6" || field("_TRANSPORT") != "stdout");
  return stated ? "<" + priority + ">" : "";
}

std::string JournaldLines::field(const char* name) const {
  const void* data = nullptr;
  std::size_t size = 0;
  if (::sd_journal_get_data(journal_.get(), name, &data, &size) < 0) return "";
  const std::string_view text(static_cast<const char*>(data), size);
  return std::string(text.substr(text.find('=') + 1));
}

std::string JournaldLines::cursor() const {
  char* text = nullptr;
  check(::sd_journal_get_cursor(journal_.get(), &text), "read");
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return text;
}

int JournaldLines::descriptor() const {
  return ::sd_journal_get_fd(journal_.get());
}

void JournaldLines::process_changes() {
  check(::sd_journal_process(journal_.get()), "watch");
}

}  // namespace unroll
