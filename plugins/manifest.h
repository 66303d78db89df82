// NAME.manifest.json beside a plugin's library: what its workers may beyond computing.
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

/// `defaults` where there is no manifest, or it does not say. Throws PluginError that names file and key.
PluginManifest read_manifest(const std::filesystem::path& library, PluginManifest defaults);

}  // namespace unroll
