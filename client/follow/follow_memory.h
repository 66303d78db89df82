// The saved state of `unroll follow`: a small file for each followed source.
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
  std::string document;           ///< The engine's id; empty before there is one.
  std::uint64_t next_output = 0;  ///< Sequence number of the first output not yet printed.
  std::uint64_t bytes = 0;        ///< Of the document, read by then.
  nlohmann::json pieces;          ///< Of earlier versions: the place where they stood.
  nlohmann::json printed;         ///< Of PrintedLines: how much was written to the output file.
};

/// Thread-safe. Owns the file and a lock on it, so that no source is followed twice at once.
class FollowMemory {
 public:
  /// `what`: everything that identifies the source. Creates the folder. Throws CommandError.
  FollowMemory(const std::filesystem::path& folder, const std::string& name, const std::string& what);
  FollowState state() const;
  /// Applies `change` and saves the state atomically.
  void update(const std::function<void(FollowState&)>& change);
  /// Of KeptText.
  std::filesystem::path kept() const { return file_.string() + ".text"; }
  /// Of Spool; a name's beginning.
  std::filesystem::path spool() const { return file_.string() + ".spool"; }
  /// The journal that keeps the document if there is no daemon.
  std::filesystem::path journal() const { return file_.string() + ".journal"; }

 private:
  void load();

  std::filesystem::path file_;
  UniqueFd lock_;
  mutable std::mutex mutex_;
  FollowState state_;
};

/// The folder of this user's daemon's journal.
std::filesystem::path default_follow_folder();

}  // namespace unroll
