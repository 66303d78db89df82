// The saved state of `unroll follow`: a small file for each followed source.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace unroll {

struct FollowState {
  std::string file;               ///< What is followed; empty: the journal, or several sources.
  std::string document;           ///< The engine's id; empty before there is one.
  std::uint64_t next_output = 0;  ///< Sequence number of the first output not yet printed.
  std::uint64_t bytes = 0;        ///< Of the document, read by then.
  nlohmann::json pieces;          ///< Of earlier versions: the place where they stood.
  nlohmann::json printed;         ///< Of PrintedLines: how much was written to the output file.
  nlohmann::json alerts;          ///< Of EventFilter.
};

/// The files of one source, or of what several share, in the state folder.
struct FollowFiles {
  std::filesystem::path state;

  /// `what`: everything that identifies the source.
  static FollowFiles of(const std::filesystem::path& folder, const std::string& name,
                        const std::string& what);
  std::filesystem::path lock() const { return state.string() + ".lock"; }
  std::filesystem::path kept() const { return state.string() + ".text"; }      ///< Of KeptText.
  std::filesystem::path events() const { return state.string() + ".events"; }  ///< Of EventLog.
  std::filesystem::path spool() const { return state.string() + ".spool"; }    ///< Of Deliverer.
  /// The journal that keeps documents if there is no daemon.
  std::filesystem::path journal() const { return state.string() + ".journal"; }
};

/// Thread-safe. Owns the file and a lock on it, so that no source is followed twice at once.
class FollowMemory {
 public:
  /// Creates the folder. `name`: for people. Throws CommandError.
  FollowMemory(FollowFiles files, const std::string& name);
  const FollowFiles& files() const { return files_; }
  FollowState state() const;
  /// Applies `change` and saves the state atomically.
  void update(const std::function<void(FollowState&)>& change);

 private:
  void load();

  const FollowFiles files_;
  const UniqueFd lock_;
  mutable std::mutex mutex_;
  FollowState state_;
};

/// Removes what is kept of files that are gone, if it did not change for a week, no process follows them and
/// no event of theirs waits to be delivered. Returns the files.
std::vector<std::filesystem::path> forget_gone_files(const std::filesystem::path& folder);

/// The folder of this user's daemon's journal.
std::filesystem::path default_follow_folder();

}  // namespace unroll
