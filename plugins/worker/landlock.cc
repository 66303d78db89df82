#include "plugins/worker/landlock.h"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace {

namespace fs = std::filesystem;

/// Grants access to one path after another: Landlock has no rules that deny.
class Rules {
 public:
  explicit Rules(std::uint64_t handled) : handled_(handled) {
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = handled;
    rules_.reset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  }
  explicit operator bool() const { return static_cast<bool>(rules_); }

  /// Symbolic links are skipped: their targets are granted where they are. Paths that cannot be opened could
  /// not be read anyway.
  void grant(const fs::path& path) {
    const unroll::UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return;
    std::error_code error;
    // The right to move files applies to folders only.
    const auto access = fs::is_directory(path, error) ? handled_ : handled_ & LANDLOCK_ACCESS_FS_READ_FILE;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = fd.get();
    ::syscall(SYS_landlock_add_rule, rules_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  /// Grants what is beside `hidden` and beside each folder above it.
  void grant_all_but(const fs::path& hidden) {
    std::error_code error;
    std::string name = hidden.filename();
    bool is_hidden = true;
    for (auto folder = hidden.parent_path(); !name.empty(); folder = folder.parent_path()) {
      for (const auto& entry : fs::directory_iterator(folder, error)) {
        const std::string other = entry.path().filename();
        if (is_hidden ? !other.starts_with(name) : other != name) grant(entry.path());
      }
      name = folder.filename();
      is_hidden = false;
    }
  }
  int enter() { return ::syscall(SYS_landlock_restrict_self, rules_.get(), 0) == 0 ? 0 : errno; }

 private:
  std::uint64_t handled_;
  unroll::UniqueFd rules_;
};

}  // namespace

int unroll_landlock_enter(const fs::path& hidden, bool writes) {
  const auto version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  // Landlock's first version always denies moving files between folders.
  if (version < (writes ? 2 : 1)) return 0;
  Rules rules(writes ? LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_REFER
                     : LANDLOCK_ACCESS_FS_READ_FILE);
  if (!rules) return errno;
  if (hidden.empty() || writes) {
    rules.grant("/");
  } else {
    rules.grant_all_but(hidden);
  }
  return rules.enter();
}
