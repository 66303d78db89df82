// Actions of another user of the machine, in a process of that user.
#pragma once

#include <csignal>
#include <functional>
#include <stdexcept>

#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace unroll::test {

inline constexpr uid_t kOtherUser = 65534;

/// Runs in the background, as `user` if this process is root's; killed with this object.
class OtherUser {
 public:
  /// `work` returns when the test may continue; the process then keeps its resources.
  explicit OtherUser(const std::function<void()>& work, uid_t user = kOtherUser) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      bool good = ::getuid() != 0 ||
                  (::setgroups(0, nullptr) == 0 && ::setgid(kOtherUser) == 0 && ::setuid(user) == 0);
      try {
        if (good) work();
      } catch (const std::exception&) {
        good = false;
      }
      const char result = good ? 'y' : 'n';
      if (::write(writing.get(), &result, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    writing.reset();
    char result = 'n';
    good_ = ::read(reading.get(), &result, 1) == 1 && result == 'y';
  }
  ~OtherUser() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  OtherUser(const OtherUser&) = delete;
  OtherUser& operator=(const OtherUser&) = delete;
  bool good() const { return good_; }

 private:
  pid_t pid_ = -1;
  bool good_ = false;
};

}  // namespace unroll::test
