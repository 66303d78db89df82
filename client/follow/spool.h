// Events of `unroll follow` that wait to be delivered.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace unroll {

/// A folder with a file for each event, named after its id: an event that is put again replaces itself. One
/// process may put events while another takes them.
class Spool {
 public:
  /// Creates the folder, for its owner alone. Throws std::runtime_error.
  explicit Spool(std::filesystem::path folder);
  /// When this returns, the event survives a power cut. Throws std::runtime_error.
  void put(const std::string& id, std::string_view event) const;

  /// Waits until no other process takes events.
  void lock();
  /// The oldest first. Drops the oldest of more than 100,000 and counts them in `dropped`.
  std::vector<std::filesystem::path> waiting(std::size_t& dropped) const;
  /// Moves the event to the folder `refused`, where it stays.
  void refuse(const std::filesystem::path& event) const;

 private:
  const std::filesystem::path folder_;
  UniqueFd lock_;
};

}  // namespace unroll
