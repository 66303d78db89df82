// The daemon's methods of snapshots. All throw Error if the daemon refuses.
#pragma once

#include <string>
#include <vector>

#include "client/reading/connection.h"

namespace unroll {

/// {name, expires_s?}
nlohmann::json snapshot_parameters(const SnapshotRequest& request);

std::vector<SnapshotInfo> list_snapshots(DaemonConnection& connection);
std::string export_snapshot(DaemonConnection& connection, const std::string& name);
/// An empty name is the file's. An empty model is the one that has read it, or the first.
SnapshotInfo import_snapshot(DaemonConnection& connection, const std::string& file,
                             const SnapshotRequest& request, const std::string& model);

}  // namespace unroll
