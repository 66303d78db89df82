#include "client/follow/journald_pump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <poll.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

// At most this much is formatted again to find an offset; this many pieces are kept.
constexpr std::int64_t kPieceBytes = 256 * 1024;
constexpr std::size_t kKeptPieces = 64;
// inotify finds new files in the journal's folder; this is for file systems without it.
constexpr int kLookAnywayMs = 1000;

}  // namespace

JournaldPump::JournaldPump(JournaldOptions options, const nlohmann::json& pieces, bool at_end, Hooks hooks)
    : options_(std::move(options)),
      at_end_(at_end),
      hooks_(std::move(hooks)),
      lines_(options_),
      pieces_(pieces.get<std::vector<JournaldPiece>>()) {}

void JournaldPump::begin_anew(std::uint64_t offset) {
  for (JournaldPiece& piece : pieces_) piece.document -= static_cast<std::int64_t>(offset);
}

JournaldPiece JournaldPump::piece_before(std::uint64_t offset) const {
  const std::lock_guard lock(pieces_mutex_);
  if (pieces_.empty()) return {INT64_MAX, ""};
  const auto behind = std::find_if(pieces_.begin() + 1, pieces_.end(), [&](const JournaldPiece& piece) {
    return piece.document > static_cast<std::int64_t>(offset);
  });
  return *(behind - 1);
}

std::uint64_t JournaldPump::begin(std::uint64_t from) {
  position_ = from;
  if (pieces_.empty()) {
    if (at_end_) lines_.go_to_end();
    return from;
  }
  const JournaldPiece piece = piece_before(from);
  const std::int64_t within = static_cast<std::int64_t>(from) - piece.document;
  const bool found = lines_.go_to(piece.cursor);
  if (found && within >= 0) {
    skip_ = static_cast<std::uint64_t>(within);
  } else {
    hooks_.note("the journal no longer has the entry at the last position; continuing with the next entry");
    pieces_.clear();
  }
  std::erase_if(pieces_, [&](const JournaldPiece& later) { return later.document > piece.document; });
  return from;
}

void JournaldPump::run(int pipe, int stop) {
  while (copy(pipe) && wait(pipe, stop)) {
  }
}

/// False if the pipe's reader is gone.
bool JournaldPump::copy(int pipe) {
  while (const auto line = lines_.next()) {
    const std::size_t skipped = std::min<std::uint64_t>(skip_, line->size());
    skip_ -= skipped;
    if (skipped == line->size()) continue;
    if (skipped == 0) start_piece();
    const std::string_view bytes = std::string_view(*line).substr(skipped);
    recent_.add(position_, bytes);
    position_ += bytes.size();
    if (!write_all(pipe, bytes)) return false;
  }
  return true;
}

/// At the beginning of a line: saves its offset if the last saved one is far back.
void JournaldPump::start_piece() {
  const auto document = static_cast<std::int64_t>(position_);
  const std::lock_guard lock(pieces_mutex_);
  if (!pieces_.empty() && document - pieces_.back().document < kPieceBytes) return;
  pieces_.push_back({document, lines_.cursor()});
  if (pieces_.size() > kKeptPieces) pieces_.erase(pieces_.begin());
  hooks_.remember(pieces_);
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

std::string JournaldPump::text(std::uint64_t begin, std::uint64_t end) {
  if (std::string recent = recent_.text(begin, end); !recent.empty() || begin == end) return recent;
  // A line from before this process started: format it again.
  const JournaldPiece piece = piece_before(begin);
  JournaldLines lines(options_);
  if (piece.document > static_cast<std::int64_t>(begin) || !lines.go_to(piece.cursor)) return "";
  for (std::int64_t at = piece.document; at <= static_cast<std::int64_t>(begin);) {
    const auto line = lines.next();
    if (!line) return "";
    const std::int64_t next = at + static_cast<std::int64_t>(line->size());
    if (next > static_cast<std::int64_t>(begin))
      return line->substr(static_cast<std::size_t>(static_cast<std::int64_t>(begin) - at), end - begin);
    at = next;
  }
  return "";
}

}  // namespace unroll
