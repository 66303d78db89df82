#include "plugins/worker/sandbox.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins/worker/landlock.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

namespace {

constexpr std::uint32_t kNetwork = 1, kFiles = 2, kProcesses = 4;  // as in wire.h
constexpr rlim_t kOpenFiles = 256;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsMemory = false;  // a sanitizer's shadow takes terabytes of address space
#else
constexpr bool kLimitsMemory = true;
#endif

// Needed for computation: memory, threads, time, signals to itself, reading files, open descriptors.
constexpr std::array kAllowed = {SCMP_SYS(read),
                                 SCMP_SYS(write),
                                 SCMP_SYS(readv),
                                 SCMP_SYS(writev),
                                 SCMP_SYS(pread64),
                                 SCMP_SYS(pwrite64),
                                 SCMP_SYS(preadv),
                                 SCMP_SYS(pwritev),
                                 SCMP_SYS(preadv2),
                                 SCMP_SYS(pwritev2),
                                 SCMP_SYS(close),
                                 SCMP_SYS(close_range),
                                 SCMP_SYS(fstat),
                                 SCMP_SYS(stat),
                                 SCMP_SYS(lstat),
                                 SCMP_SYS(newfstatat),
                                 SCMP_SYS(statx),
                                 SCMP_SYS(statfs),
                                 SCMP_SYS(fstatfs),
                                 SCMP_SYS(lseek),
                                 SCMP_SYS(mmap),
                                 SCMP_SYS(mprotect),
                                 SCMP_SYS(munmap),
                                 SCMP_SYS(mremap),
                                 SCMP_SYS(madvise),
                                 SCMP_SYS(brk),
                                 SCMP_SYS(mlock),
                                 SCMP_SYS(munlock),
                                 SCMP_SYS(mincore),
                                 SCMP_SYS(msync),
                                 SCMP_SYS(memfd_create),
                                 SCMP_SYS(ftruncate),
                                 SCMP_SYS(rt_sigaction),
                                 SCMP_SYS(rt_sigprocmask),
                                 SCMP_SYS(rt_sigreturn),
                                 SCMP_SYS(rt_sigpending),
                                 SCMP_SYS(rt_sigtimedwait),
                                 SCMP_SYS(rt_sigsuspend),
                                 SCMP_SYS(sigaltstack),
                                 SCMP_SYS(pause),
                                 SCMP_SYS(signalfd4),
                                 SCMP_SYS(access),
                                 SCMP_SYS(faccessat),
                                 SCMP_SYS(faccessat2),
                                 SCMP_SYS(readlink),
                                 SCMP_SYS(readlinkat),
                                 SCMP_SYS(getdents),
                                 SCMP_SYS(getdents64),
                                 SCMP_SYS(getcwd),
                                 SCMP_SYS(chdir),
                                 SCMP_SYS(fchdir),
                                 SCMP_SYS(umask),
                                 SCMP_SYS(flock),
                                 SCMP_SYS(fadvise64),
                                 SCMP_SYS(readahead),
                                 SCMP_SYS(dup),
                                 SCMP_SYS(dup2),
                                 SCMP_SYS(dup3),
                                 SCMP_SYS(pipe),
                                 SCMP_SYS(pipe2),
                                 SCMP_SYS(shutdown),
                                 SCMP_SYS(sendto),
                                 SCMP_SYS(recvfrom),
                                 SCMP_SYS(sendmsg),
                                 SCMP_SYS(recvmsg),
                                 SCMP_SYS(getsockopt),
                                 SCMP_SYS(setsockopt),
                                 SCMP_SYS(getsockname),
                                 SCMP_SYS(getpeername),
                                 SCMP_SYS(select),
                                 SCMP_SYS(pselect6),
                                 SCMP_SYS(poll),
                                 SCMP_SYS(ppoll),
                                 SCMP_SYS(epoll_create1),
                                 SCMP_SYS(epoll_ctl),
                                 SCMP_SYS(epoll_wait),
                                 SCMP_SYS(epoll_pwait),
                                 SCMP_SYS(eventfd2),
                                 SCMP_SYS(timerfd_create),
                                 SCMP_SYS(timerfd_settime),
                                 SCMP_SYS(timerfd_gettime),
                                 SCMP_SYS(sched_yield),
                                 SCMP_SYS(sched_getaffinity),
                                 SCMP_SYS(sched_getparam),
                                 SCMP_SYS(sched_getscheduler),
                                 SCMP_SYS(sched_get_priority_max),
                                 SCMP_SYS(sched_get_priority_min),
                                 SCMP_SYS(getcpu),
                                 SCMP_SYS(nanosleep),
                                 SCMP_SYS(clock_nanosleep),
                                 SCMP_SYS(clock_gettime),
                                 SCMP_SYS(clock_getres),
                                 SCMP_SYS(gettimeofday),
                                 SCMP_SYS(time),
                                 SCMP_SYS(times),
                                 SCMP_SYS(setitimer),
                                 SCMP_SYS(getitimer),
                                 SCMP_SYS(alarm),
                                 SCMP_SYS(timer_create),
                                 SCMP_SYS(timer_settime),
                                 SCMP_SYS(timer_gettime),
                                 SCMP_SYS(timer_delete),
                                 SCMP_SYS(getpid),
                                 SCMP_SYS(getppid),
                                 SCMP_SYS(gettid),
                                 SCMP_SYS(getpgrp),
                                 SCMP_SYS(getpgid),
                                 SCMP_SYS(getsid),
                                 SCMP_SYS(getuid),
                                 SCMP_SYS(geteuid),
                                 SCMP_SYS(getgid),
                                 SCMP_SYS(getegid),
                                 SCMP_SYS(getgroups),
                                 SCMP_SYS(getresuid),
                                 SCMP_SYS(getresgid),
                                 SCMP_SYS(getpriority),
                                 SCMP_SYS(uname),
                                 SCMP_SYS(sysinfo),
                                 SCMP_SYS(getrusage),
                                 SCMP_SYS(getrlimit),
                                 SCMP_SYS(setrlimit),
                                 SCMP_SYS(futex),
                                 SCMP_SYS(set_robust_list),
                                 SCMP_SYS(get_robust_list),
                                 SCMP_SYS(set_tid_address),
                                 SCMP_SYS(rseq),
                                 SCMP_SYS(membarrier),
                                 SCMP_SYS(restart_syscall),
                                 SCMP_SYS(exit),
                                 SCMP_SYS(exit_group),
                                 SCMP_SYS(getrandom),
                                 SCMP_SYS(arch_prctl),
                                 SCMP_SYS(get_mempolicy)};
constexpr std::array kNetworkCalls = {SCMP_SYS(socket),   SCMP_SYS(connect), SCMP_SYS(bind),
                                      SCMP_SYS(listen),   SCMP_SYS(accept),  SCMP_SYS(accept4),
                                      SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg)};
constexpr std::array kFileCalls = {
    SCMP_SYS(creat),     SCMP_SYS(mkdir),     SCMP_SYS(mkdirat),        SCMP_SYS(rmdir),
    SCMP_SYS(unlink),    SCMP_SYS(unlinkat),  SCMP_SYS(rename),         SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(link),      SCMP_SYS(linkat),         SCMP_SYS(symlink),
    SCMP_SYS(symlinkat), SCMP_SYS(chmod),     SCMP_SYS(fchmod),         SCMP_SYS(fchmodat),
    SCMP_SYS(truncate),  SCMP_SYS(fallocate), SCMP_SYS(fsync),          SCMP_SYS(fdatasync),
    SCMP_SYS(utimensat), SCMP_SYS(sendfile),  SCMP_SYS(copy_file_range)};
constexpr std::array kProcessCalls = {SCMP_SYS(fork),
                                      SCMP_SYS(vfork),
                                      SCMP_SYS(clone),
                                      SCMP_SYS(clone3),
                                      SCMP_SYS(execve),
                                      SCMP_SYS(execveat),
                                      SCMP_SYS(wait4),
                                      SCMP_SYS(waitid),
                                      SCMP_SYS(kill),
                                      SCMP_SYS(setpgid),
                                      SCMP_SYS(setsid),
                                      SCMP_SYS(pidfd_open),
                                      SCMP_SYS(pidfd_send_signal)};

/// A filter that refuses calls without a rule; keeps the error of the first rule that cannot be added.
class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ERRNO(EPERM)), &::seccomp_release) {
    if (!context_) error_ = ENOMEM;
  }
  template <class... Conditions>
  void add(std::uint32_t action, int call, Conditions... conditions) {
    if (error_ != 0) return;
    const std::array<scmp_arg_cmp, sizeof...(Conditions)> list{conditions...};
    error_ = -::seccomp_rule_add_array(context_.get(), action, call, sizeof...(Conditions), list.data());
  }
  template <class Calls>
  void allow(const Calls& calls) {
    for (const int call : calls) add(SCMP_ACT_ALLOW, call);
  }
  int load() {
    if (error_ != 0) return error_;
    ::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    ::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree, as the list is long
    return -::seccomp_load(context_.get());
  }

 private:
  std::unique_ptr<void, decltype(&::seccomp_release)> context_;
  int error_ = 0;
};

void add_files(Filter& filter) {
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2));  // its flags are in memory: callers fall back
  const auto open = [&](int call, unsigned flags) {
    filter.add(SCMP_ACT_ALLOW, call,
               SCMP_CMP64(flags, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
    for (const scmp_datum_t writing : {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC}) {
      filter.add(SCMP_ACT_ERRNO(EACCES), call, SCMP_CMP64(flags, SCMP_CMP_MASKED_EQ, writing, writing));
    }
  };
  open(SCMP_SYS(open), 1);
  open(SCMP_SYS(openat), 2);
  for (const int call : kFileCalls) filter.add(SCMP_ACT_ERRNO(EACCES), call);
}

void add_processes(Filter& filter) {
  const auto self = static_cast<scmp_datum_t>(::getpid());
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));  // its flags are in memory: glibc falls back to clone
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(clone), SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  filter.add(SCMP_ACT_TRAP, SCMP_SYS(clone), SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  for (const int call : {SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(execve), SCMP_SYS(execveat)}) {
    filter.add(SCMP_ACT_TRAP, call);
  }
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(kill), SCMP_A0_64(SCMP_CMP_EQ, self));
}

int load_filter(std::uint32_t permissions) {
  Filter filter;
  filter.allow(kAllowed);
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
             SCMP_A0_64(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid())));
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A0_64(SCMP_CMP_EQ, 0));  // its own
  for (const scmp_datum_t option : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_CAPBSET_READ}) {
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), SCMP_A0_64(SCMP_CMP_EQ, option));
  }
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(sched_setaffinity), SCMP_A0_64(SCMP_CMP_EQ, 0));
  // Not those that send signals to other processes (F_SETOWN, F_SETSIG).
  for (const scmp_datum_t command :
       {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK,
        F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ}) {
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), SCMP_A1_64(SCMP_CMP_EQ, command));
  }
  // No datagram sockets, which can send to any socket without connecting to it.
  constexpr scmp_datum_t kTypes = 0xf;  // without SOCK_CLOEXEC and SOCK_NONBLOCK
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(socketpair), SCMP_A1_64(SCMP_CMP_MASKED_EQ, kTypes, SOCK_STREAM));
  for (const scmp_datum_t request : {TCGETS, FIOCLEX, FIONCLEX, FIONBIO, FIONREAD, TIOCGWINSZ}) {
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, request));
  }
  if (permissions & kNetwork) filter.allow(kNetworkCalls);
  if (permissions & kFiles) {
    filter.allow(kFileCalls);
    for (const int call : {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2)})
      filter.add(SCMP_ACT_ALLOW, call);
  } else {
    add_files(filter);
  }
  if (permissions & kProcesses) {
    filter.allow(kProcessCalls);
  } else {
    add_processes(filter);
  }
  return filter.load();
}

/// The kernel refused to start a process. Async-signal-safe.
void print_and_die(int signal, siginfo_t* information, void*) {
  const auto print = [](const char* text) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
  };
  print("the plugin tried to start a process (");
  switch (information->si_syscall) {
    case SYS_execve:
    case SYS_execveat:
      print("exec");
      break;
    case SYS_clone:
      print("clone");
      break;
    default:
      print("fork");
  }
  print("), which is not permitted; \"processes\": true in its manifest permits it\n");
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(signal, &usual, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::syscall(SYS_tgkill, ::getpid(), ::gettid(), signal);
}

int set_limit(decltype(RLIMIT_DATA) resource, rlim_t value) {
  struct rlimit limit {};
  if (::getrlimit(resource, &limit) != 0) return errno;
  limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : value;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(resource, &limit) == 0 ? 0 : errno;
}

/// Makes the kernel kill workers first if memory runs out: their documents fail, and the daemon continues.
/// Must run before the process is undumpable, because its files in /proc then belong to root.
void offer_to_oom_killer() {
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  constexpr std::string_view kFirst = "1000";
  [[maybe_unused]] const auto written = ::write(file, kFirst.data(), kFirst.size());
  ::close(file);
}

}  // namespace

int unroll_sandbox_enter(std::uint32_t permissions, std::uint64_t memory_bytes) {
  // The host ends workers; signals to a whole service or terminal are ignored.
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction refused {};
  refused.sa_sigaction = &print_and_die;
  refused.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGSYS, &refused, nullptr) != 0) return errno;
  if (kLimitsMemory && memory_bytes != 0) {
    if (const int error = set_limit(RLIMIT_DATA, memory_bytes)) return error;
  }
  if (const int error = set_limit(RLIMIT_CORE, 0)) return error;
  if (const int error = set_limit(RLIMIT_NOFILE, kOpenFiles)) return error;
  offer_to_oom_killer();
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno;
  }
  const char* hidden = std::getenv("UNROLL_SANDBOX_HIDDEN");
  if (const int error = unroll_landlock_enter(hidden == nullptr ? "" : hidden, (permissions & kFiles) != 0)) {
    return error;
  }
  return load_filter(permissions);
}
