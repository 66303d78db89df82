// What `unroll follow` knows of an earlier run: a small file for each thing that is followed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace unroll {

struct FollowState {
  std::string document;                             ///< The engine's id; empty before there is one.
  std::uint64_t next_output = 0;                    ///< Sequence number of the first that was not printed.
  std::uint64_t bytes = 0;                          ///< Of the document, that had been read by then.
  nlohmann::json pieces = nlohmann::json::array();  ///< FollowedPump's.
  nlohmann::json printed;  ///< PrintedLines': how far the file is written that the output goes to.
};

/// Any thread. Owns the file and a lock on it, so that nothing is followed twice at once.
class FollowMemory {
 public:
  /// `what`: all that makes it another thing to follow. Makes the folder. Throws CommandError.
  FollowMemory(const std::filesystem::path& folder, const std::string& name, const std::string& what);
  FollowState state() const;
  /// Saves what `change` has changed, at once and whole.
  void update(const std::function<void(FollowState&)>& change);
  /// Where a process without a daemon keeps the document.
  std::filesystem::path journal() const { return file_.string() + ".journal"; }

 private:
  void load();

  std::filesystem::path file_;
  UniqueFd lock_;
  mutable std::mutex mutex_;
  FollowState state_;
};

/// Beside the daemon's journal of this user.
std::filesystem::path default_follow_folder();

}  // namespace unroll
