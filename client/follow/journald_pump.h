// Follows systemd's journal as one endless document.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/follow/followed_pump.h"
#include "client/follow/journald.h"

namespace unroll {

/// The line of the entry at `cursor` begins at byte `document`. Negative if the document was restarted after
/// it.
struct JournaldPiece {
  std::int64_t document = 0;
  std::string cursor;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JournaldPiece, document, cursor)

class JournaldPump : public FollowedPump {
 public:
  /// As in FollowPump. Throws CommandError.
  JournaldPump(JournaldOptions options, const nlohmann::json& pieces, bool at_end, Hooks hooks);

  void begin_anew(std::uint64_t offset) override;
  std::uint64_t begin(std::uint64_t from) override;
  void run(int pipe, int stop) override;
  std::string text(std::uint64_t begin, std::uint64_t end) override;

 private:
  bool copy(int pipe);
  bool wait(int pipe, int stop);
  void start_piece();
  JournaldPiece piece_before(std::uint64_t offset) const;

  const JournaldOptions options_;
  const bool at_end_;
  const Hooks hooks_;
  JournaldLines lines_;
  mutable std::mutex pieces_mutex_;
  std::vector<JournaldPiece> pieces_;
  std::uint64_t position_ = 0;  ///< In the document.
  std::uint64_t skip_ = 0;      ///< Bytes of the next lines that come before position_.
  RecentText recent_;
};

}  // namespace unroll
