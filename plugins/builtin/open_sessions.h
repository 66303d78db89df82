// The open sessions of a log. Their number is bounded: if there is no room, the one that has been silent
// longest is closed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "unroll/plugin.hpp"

#include "plugins/builtin/session_model.h"

namespace unroll::builtin {

class OpenSessions {
 public:
  static constexpr std::size_t kMost = 2048;

  bool has_room_for(std::string_view key) const {
    return sessions_.size() < kMost || by_key_.contains(std::string(key));
  }
  /// A new session if none with this key is open. Valid until the next call.
  Session& of(std::string_view key) {
    const auto [known, is_new] = by_key_.try_emplace(std::string(key), sessions_.size());
    if (is_new) sessions_.emplace_back().key = key;
    return sessions_[known->second];
  }
  /// There must be one.
  Session take_longest_silent() {
    const auto longest = std::min_element(sessions_.begin(), sessions_.end(), ended_before);
    by_key_.erase(longest->key);
    std::swap(*longest, sessions_.back());
    Session taken = std::move(sessions_.back());
    sessions_.pop_back();
    if (longest != sessions_.end())
      by_key_[longest->key] = static_cast<std::size_t>(longest - sessions_.begin());
    return taken;
  }
  /// All sessions, in the order of their last lines.
  std::vector<Session> take_all() {
    by_key_.clear();
    auto taken = std::exchange(sessions_, {});
    std::sort(taken.begin(), taken.end(), ended_before);
    return taken;
  }

  /// A new document begins: its lines and bytes are numbered from there. Places before it wrap around.
  void shift(std::uint64_t lines, std::uint64_t bytes) {
    for (auto& session : sessions_) {
      for (auto* line : {&session.first_line, &session.last_line}) *line -= lines;
      for (auto* place : {&session.start, &session.end}) *place -= bytes;
    }
  }

  void visit(auto& archive) {
    archive(sessions_);
    if (!archive.kReads) return;
    by_key_.clear();
    for (std::size_t i = 0; i < sessions_.size(); ++i) by_key_[sessions_[i].key] = i;
    if (by_key_.size() != sessions_.size() || sessions_.size() > kMost)
      throw plugin::StateError("the saved state is damaged");
  }

 private:
  static bool ended_before(const Session& a, const Session& b) {
    return static_cast<std::int64_t>(a.last_line) < static_cast<std::int64_t>(b.last_line);
  }

  std::vector<Session> sessions_;
  std::unordered_map<std::string, std::size_t> by_key_;
};

}  // namespace unroll::builtin
