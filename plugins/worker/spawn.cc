#include "plugins/worker/spawn.h"

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <spawn.h>

namespace unroll {
namespace {

class SpawningThread {
 public:
  ~SpawningThread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  pid_t run(std::packaged_task<pid_t()> task) {
    auto result = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_all();
    return result.get();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto tasks = std::exchange(tasks_, {});
      lock.unlock();
      for (auto& task : tasks) task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::packaged_task<pid_t()>> tasks_;
  std::thread thread_{[this] { serve(); }};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const auto& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

struct Actions {
  Actions() { ::posix_spawn_file_actions_init(&raw); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&raw); }
  posix_spawn_file_actions_t raw;
};
struct Attributes {
  Attributes() { ::posix_spawnattr_init(&raw); }
  ~Attributes() { ::posix_spawnattr_destroy(&raw); }
  posix_spawnattr_t raw;
};

pid_t spawn_here(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                 int output, int socket) {
  constexpr int kSocket = 3;
  Actions actions;
  ::posix_spawn_file_actions_addopen(&actions.raw, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions.raw, output, 1);
  ::posix_spawn_file_actions_adddup2(&actions.raw, output, 2);
  ::posix_spawn_file_actions_adddup2(&actions.raw, socket, kSocket);
  ::posix_spawn_file_actions_addclosefrom_np(&actions.raw, kSocket + 1);
  Attributes attributes;
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes.raw, &none);
  ::posix_spawnattr_setsigdefault(&attributes.raw, &all);
  ::posix_spawnattr_setpgroup(&attributes.raw, 0);  // does not receive the terminal's Ctrl-C
  ::posix_spawnattr_setflags(&attributes.raw,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, command[0].c_str(), &actions.raw, &attributes.raw,
                                   pointers(command).data(), pointers(environment).data());
  if (error != 0) throw std::system_error(error, std::generic_category(), command[0]);
  return pid;
}

}  // namespace

pid_t spawn(const std::vector<std::string>& command, const std::vector<std::string>& environment, int output,
            int socket) {
  static SpawningThread thread;
  return thread.run(
      std::packaged_task<pid_t()>([&] { return spawn_here(command, environment, output, socket); }));
}

}  // namespace unroll
