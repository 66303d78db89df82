// NAME.manifest.json beside a plugin's library: permissions and limits of its workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace unroll {

struct PluginManifest {
  std::uint32_t permissions = 0;  ///< kMay... in plugins/worker/wire.h.
  std::uint64_t memory_bytes = 0;
  std::chrono::milliseconds deadline{0};
};

/// What the manifest, if any, does not set is taken from `defaults`. Throws PluginError with file and key.
PluginManifest read_manifest(const std::filesystem::path& library, PluginManifest defaults);

}  // namespace unroll
