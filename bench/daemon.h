// bench/: how fast and how large, as ratios and figures of one run; never a test. What the programs share: a
// real daemon, documents through its real socket, and what the kernel says of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "client/connection.h"
#include "tests/client/fixture.h"

namespace unroll::bench {

using Seconds = std::chrono::duration<double>;

inline double now() {
  return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline Connection connect(const test::Daemon& daemon) {
  std::string why;
  auto connection = Connection::open(daemon.socket(), why);
  if (!connection) throw std::runtime_error(why);
  return std::move(*connection);
}

/// "VmRSS", "VmHWM" of /proc/PID/status, in bytes.
inline std::uint64_t memory_of(pid_t pid, const std::string& field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  throw std::runtime_error("no " + field + " of the daemon");
}

inline std::ptrdiff_t open_files_of(pid_t pid) {
  const std::filesystem::directory_iterator files("/proc/" + std::to_string(pid) + "/fd");
  return std::distance(begin(files), end(files));
}

/// Lines of a log, no two alike: the same for the same number.
inline std::string log_line(std::uint64_t number) {
  static constexpr const char* kTemplates[] = {
      "sshd[%u]: Accepted publickey for admin from 10.0.%u.%u port %u ssh2",
      "kernel: [%u.%u] eth0: link is up, %u Mbps, queue %u",
      "nginx: 192.168.%u.%u GET /api/v1/items/%u 200 %u",
      "postgres[%u]: checkpoint complete: wrote %u buffers, %u WAL files, %u s",
      "systemd[%u]: Started Session %u of user backup (%u/%u)",
      "app: request %u took %u ms, cache hits %u, misses %u"};
  std::uint64_t mixed = number * 6364136223846793005u + 1442695040888963407u;
  mixed ^= mixed >> 29;
  char line[200];
  std::snprintf(line, sizeof line, kTemplates[mixed % 6], unsigned(mixed >> 8 & 0xffff),
                unsigned(mixed >> 24 & 0xff), unsigned(mixed >> 32 & 0xfff), unsigned(mixed >> 44 & 0xffff));
  return std::string(line) + '\n';
}

}  // namespace unroll::bench
