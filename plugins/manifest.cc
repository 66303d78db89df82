#include "plugins/manifest.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "plugins/host.h"
#include "plugins/library.h"
#include "plugins/worker/wire.h"

namespace unroll {
namespace {

std::uint32_t permission(const std::string& key) {
  if (key == "network") return wire::kMayUseNetwork;
  if (key == "files") return wire::kMayWriteFiles;
  if (key == "processes") return wire::kMayStartProcesses;
  return 0;
}

}  // namespace

PluginManifest read_manifest(const std::filesystem::path& library, PluginManifest manifest) {
  auto file = library;
  file.replace_extension(".manifest.json");
  const auto fail = [&](const std::string& what) {
    throw PluginError(UNROLL_ERROR_INTERNAL, "plugin manifest " + file.string() + ": " + what);
  };
  std::ifstream stream(file);
  if (!stream) {
    std::error_code error;
    if (std::filesystem::exists(file, error)) fail("it cannot be read; the plugin is left out");
    return manifest;
  }
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object()) fail("it must hold one JSON object");
  for (const auto& [key, value] : json.items()) {
    if (const auto bit = permission(key)) {
      if (!value.is_boolean()) fail("\"" + key + "\" must be true or false");
      if (value.get<bool>()) manifest.permissions |= bit;
    } else if (key == "memory_bytes" || key == "deadline_ms") {
      if (!value.is_number_unsigned() || value == 0) fail("\"" + key + "\" must be a positive integer");
      const auto number = value.get<std::uint64_t>();
      if (number > std::uint64_t{1} << 50) fail("\"" + key + "\" is too large");
      if (key == "memory_bytes") manifest.memory_bytes = number;
      if (key == "deadline_ms") manifest.deadline = std::chrono::milliseconds(number);
    } else {
      fail("\"" + printable(key, 64) +
           "\" is not known; the keys are network, files, processes, memory_bytes, deadline_ms");
    }
  }
  return manifest;
}

}  // namespace unroll
