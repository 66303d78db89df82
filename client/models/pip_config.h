// The Python package index that this machine uses, from pip's own configuration: a mirror or proxy that is
// set up for pip serves models, too.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace unroll {

struct PipConfig {
  /// In the order in which to ask them; none if pip's configuration has no-index. May hold a user's password.
  std::vector<std::string> indexes;
  std::vector<std::filesystem::path> find_links;  ///< Folders of this machine to look in first.
  std::filesystem::path certificates;  ///< File or folder of certificate authorities; empty: the system's.
  std::string proxy;                   ///< Empty: from the usual environment variables.
};

/// From pip.conf (the system's, the user's, a virtual environment's, $PIP_CONFIG_FILE) and the variables
/// PIP_*; later ones override earlier ones, as in pip.
PipConfig read_pip_config();

}  // namespace unroll
