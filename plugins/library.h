// A shared library of plugins: opens it, checks and copies its entry and tables. Of the plugins' functions
// only `extension` is called.
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

/// The library stays mapped while this object exists.
class PluginLibrary {
 public:
  struct Plugin {
    PluginInfo info;
    unroll_plugin table;  ///< Fields that the plugin's `size` does not include are zero.
    unroll_status (*fork)(void*, const unroll_fork_point*) = nullptr;  ///< Null if it has none.
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

/// Checks what a worker reports of a plugin by the same rules. Throws PluginError as above.
void check_plugin_info(const PluginInfo& info, const std::filesystem::path& file);

/// Makes text safe for an error or a log: valid UTF-8 of at most `limit` bytes without newlines or other
/// control characters.
std::string printable(std::string_view text, std::size_t limit);

}  // namespace unroll
