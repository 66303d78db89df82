// Imports a snapshot's file without blocking the I/O thread. It needs the model, which may have to be loaded
// first, and a commit.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/snapshot.h"
#include "daemon/context.h"

namespace unroll {

/// A file as it arrives. Its bytes are charged to the owner's buffers while it exists.
struct SnapshotUpload {
  std::string name;  ///< That the snapshot will have; empty: the file's.
  std::string bytes;
  std::vector<std::shared_ptr<void>> charges;

  /// Throws LimitError.
  void add(Engine& engine, std::uint32_t owner, std::string_view more);
};

/// An empty model is the one that the file names, if the daemon has it, otherwise the first. `done` gets the
/// result on the I/O thread. For the I/O thread.
void import_snapshot(ServerContext& context, std::uint32_t owner, SnapshotUpload upload,
                     std::optional<std::chrono::seconds> expires, std::string model,
                     std::function<void(std::exception_ptr, const SnapshotInfo&)> done);

}  // namespace unroll
