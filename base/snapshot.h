// What is known of a snapshot, as engine, protocol and clients exchange it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"

namespace unroll {

/// The first bytes of a snapshot's file.
inline constexpr std::string_view kSnapshotFileMagic = "unroll snapshot\n";
inline constexpr std::string_view kSnapshotMediaType = "application/vnd.unroll.snapshot";

/// What is left of a document, by which others go on from it: docs/snapshots.md.
struct SnapshotRequest {
  std::string name;  ///< An earlier one of this owner and name is replaced.
  std::optional<std::chrono::seconds> expires;
};

struct SnapshotInfo {
  std::string name;
  std::uint32_t owner = 0;
  std::string model, checkpoint;
  std::vector<PluginRequest> plugins;  ///< Whose states it has.
  std::uint64_t bytes = 0;             ///< That were read, with those of the snapshot that it went on from.
  std::vector<std::byte> sha256;       ///< Of them.
  std::int64_t created = 0;            ///< Seconds since 1970.
  std::optional<std::int64_t> expires;
  std::uint64_t kept_bytes = 0;  ///< In the journal.
};

}  // namespace unroll
