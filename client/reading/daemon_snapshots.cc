#include "client/reading/daemon_snapshots.h"

#include <algorithm>

#include "base/base64.h"

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
  std::string file;
  json first;
  for (json piece; piece.is_null() || file.size() < piece.at("bytes").get<std::size_t>();) {
    piece = connection.call(method::kSnapshotExport, {{"name", name}, {"offset", file.size()}});
    if (first.is_null()) first = piece.at("sha256");
    const auto bytes = base64_decode(piece.at("base64").get<std::string>());
    if (!bytes || bytes->empty() || piece.at("sha256") != first) {
      throw CommandError("snapshot '" + name + "' was replaced while it was exported; export it again");
    }
    file += *bytes;
  }
  return file;
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
