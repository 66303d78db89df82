#include "client/reading/daemon_snapshots.h"

#include <cerrno>

#include <sys/mman.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/unique_fd.h"

namespace unroll {

using nlohmann::json;

json snapshot_parameters(const SnapshotRequest& request) {
  json parameters = json::object();
  if (!request.name.empty()) parameters["name"] = request.name;
  if (request.expires) parameters["expires_s"] = request.expires->count();
  return parameters;
}

std::vector<SnapshotInfo> list_snapshots(DaemonConnection& connection) {
  std::vector<SnapshotInfo> list;
  const json answer = connection.call(method::kSnapshotList, json::object());
  for (const json& entry : answer.at("snapshots")) list.push_back(snapshot_from_json(entry));
  return list;
}

std::string export_snapshot(DaemonConnection& connection, const std::string& name) {
  const UniqueFd file(::memfd_create("snapshot", MFD_CLOEXEC));
  if (!file) throw CommandError(system_message("no memory for the snapshot's file", errno));
  const json answer = connection.call(method::kSnapshotExport, {{"name", name}, {"fd", true}}, file.get());
  std::string bytes(answer.at("bytes").get<std::size_t>(), '\0');
  for (std::size_t at = 0; at < bytes.size();) {
    const auto count = ::pread(file.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw CommandError("the daemon wrote less of snapshot '" + name + "' than it said");
    at += static_cast<std::size_t>(count);
  }
  return bytes;
}

SnapshotInfo import_snapshot(DaemonConnection& connection, const std::string& file,
                             const SnapshotRequest& request, const std::string& model) {
  json parameters = snapshot_parameters(request);
  if (!model.empty()) parameters["model"] = model;
  for (std::size_t at = 0;;) {
    const auto piece = std::string_view(file).substr(at, kMaxAppendBytes);
    at += piece.size();
    parameters["base64"] = base64_encode(piece);
    parameters["more"] = at < file.size();
    const json answer = connection.call(method::kSnapshotImport, parameters);
    if (at >= file.size()) return snapshot_from_json(answer);
  }
}

}  // namespace unroll
