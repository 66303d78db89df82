#include "daemon/hidden_home.h"

#include <sys/stat.h>

namespace unroll {

std::string hidden_home_advice(const std::filesystem::path& path) {
  const auto absolute = std::filesystem::absolute(path).lexically_normal();
  for (const char* const homes : {"/home", "/root", "/run/user"}) {
    const auto below = absolute.lexically_relative(homes);
    if (below.empty() || *below.begin() == "..") continue;
    // systemd mounts a folder without any permission over them (systemd.exec(5)).
    struct stat status {};
    constexpr mode_t kPermissions = 0777;
    if (::stat(homes, &status) == 0 && (status.st_mode & kPermissions) == 0) {
      return std::string("; the service does not see ") + homes +
             " (ProtectHome=yes in its unit): move it elsewhere, for instance below /srv";
    }
  }
  return "";
}

}  // namespace unroll
