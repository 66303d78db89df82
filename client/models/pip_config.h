// The Python package index that this machine uses: pip's own configuration, so that a mirror or a proxy that
// is set up for pip serves models, too.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace unroll {

struct PipConfig {
  /// In the order in which to ask them; none if pip's configuration has no-index. May hold a user's password.
  std::vector<std::string> indexes;
  std::vector<std::filesystem::path> find_links;  ///< Folders of this machine to look in first.
  std::filesystem::path certificates;  ///< Of authorities, a file or a folder; empty: the system's.
  std::string proxy;                   ///< Empty: as the usual variables say.
};

/// From pip.conf (the system's, the user's, a virtual environment's, $PIP_CONFIG_FILE) and the variables
/// PIP_*, later ones over earlier ones, as pip does.
PipConfig read_pip_config();

}  // namespace unroll
