#include "client/follow/journald_pump.h"

#include <array>
#include <cerrno>
#include <utility>

#include <poll.h>

#include "client/cli/command_error.h"

namespace unroll {
namespace {

// inotify finds new files in the journal's folder; this is for file systems without it.
constexpr int kLookAnywayMs = 1000;

}  // namespace

JournaldPump::JournaldPump(const JournaldOptions& options, bool at_end, KeptText& kept, Note note)
    : FollowedPump(kept, std::move(note)), at_end_(at_end), lines_(options) {}

/// The place: {"cursor": of the last entry}.
bool JournaldPump::open(std::uint64_t /*missing*/) {
  const nlohmann::json place = kept().place();
  if (place.is_null()) {
    if (at_end_) lines_.go_to_end();
    return true;
  }
  if (lines_.go_to(place.at("cursor").get<std::string>())) {
    lines_.next();
    return true;
  }
  note("the journal no longer has the entry at the last position; continuing with the next entry");
  return false;
}

void JournaldPump::follow(int pipe, int stop) {
  while (copy(pipe) && wait(pipe, stop)) {
  }
}

/// False if the pipe's reader is gone.
bool JournaldPump::copy(int pipe) {
  while (const auto line = lines_.next()) {
    if (!send(pipe, *line, {{"cursor", lines_.cursor()}})) return false;
  }
  return true;
}

/// Waits until something may have changed; false to stop.
bool JournaldPump::wait(int pipe, int stop) {
  std::array<pollfd, 3> waited = {pollfd{lines_.descriptor(), POLLIN, 0}, pollfd{stop, POLLIN, 0},
                                  pollfd{pipe, 0, 0}};
  if (::poll(waited.data(), waited.size(), kLookAnywayMs) < 0 && errno != EINTR)
    throw CommandError(system_message("cannot wait for the journal", errno));
  lines_.process_changes();
  return waited[1].revents == 0 && waited[2].revents == 0;
}

}  // namespace unroll
