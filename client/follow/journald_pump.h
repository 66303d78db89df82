// Follows systemd's journal as one endless document.
#pragma once

#include "client/follow/followed_pump.h"
#include "client/follow/journald.h"

namespace unroll {

class JournaldPump : public FollowedPump {
 public:
  /// `at_end`: the first time, skip the entries that are there. Throws CommandError.
  JournaldPump(const JournaldOptions& options, bool at_end, KeptText& kept, Note note);

 private:
  bool open(std::uint64_t missing) override;
  void follow(int pipe, int stop) override;
  bool copy(int pipe);
  bool wait(int pipe, int stop);

  const bool at_end_;
  JournaldLines lines_;
};

}  // namespace unroll
