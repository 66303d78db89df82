// Parameters that several methods have. All throw Error(kInvalidParams).
#pragma once

#include <vector>

#include "base/snapshot.h"
#include "daemon/params.h"
#include "engine/engine.h"

namespace unroll {

/// 'plugins'; empty if it is not given, unless it is `required`.
std::vector<PluginRequest> read_plugins(const Params& params, bool required);

/// Whether 'fd' says that a descriptor comes with the line.
bool wants_descriptor(const Params& params);

/// 'name', which must be given, and 'expires_s'.
SnapshotRequest read_snapshot_request(const Params& params);
std::optional<std::chrono::seconds> read_expiry(const Params& params);

/// The parameters of document.open, as far as the method has them, but for where the bytes come from and the
/// model.
DocumentRequest read_request(const Params& params, std::uint32_t owner);

}  // namespace unroll
