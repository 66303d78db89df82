// One shared library of plugins: opened, its entry and tables checked and copied. Nothing is called yet but a
// plugin's `extension`.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugins/host.h"

namespace unroll {

inline constexpr std::size_t kMaxPluginsInLibrary = 64;
inline constexpr int kMaxTopK = 64;

/// Stays mapped while this lives.
class PluginLibrary {
 public:
  struct Plugin {
    PluginInfo info;
    unroll_plugin table;  ///< As much as the plugin knows of it; the rest is zero.
  };

  /// Throws PluginError whose text begins with "plugin library FILE: ".
  explicit PluginLibrary(const std::filesystem::path& file);
  const std::vector<Plugin>& plugins() const { return plugins_; }

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Close> handle_;
  std::vector<Plugin> plugins_;
};

/// What a library in a worker says of a plugin must keep to the same rules. Throws PluginError as above.
void check_plugin_info(const PluginInfo& info, const std::filesystem::path& file);

/// Valid UTF-8 of at most `limit` bytes, without line ends or other control characters: fit for an error or a
/// log.
std::string printable(std::string_view text, std::size_t limit);

}  // namespace unroll
