// bench/: speed and memory, as ratios and figures of one run; not tests. Shared by the programs: a real
// daemon, documents through its socket, and the kernel's figures about it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "client/reading/connection.h"
#include "tests/client/fixture.h"

namespace unroll::bench {

using Seconds = std::chrono::duration<double>;

inline double now() {
  return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline DaemonConnection connect(const test::Daemon& daemon) {
  std::string why;
  auto connection = DaemonConnection::open(daemon.socket(), why);
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

/// A line of a log; few are alike. The same number gives the same line.
inline std::string log_line(std::uint64_t number) {
  static constexpr const char* kTemplates[] = {
      "sshd: Accepted publickey for user%u from workstation port %u protocol version two",
      "kernel: network interface eth%u: link is up, full duplex, flow control on, queue %u",
      "nginx: GET /static/images/products/%u answered with success from the cache in %u ms",
      "postgres: checkpoint complete, wrote %u buffers, write-ahead log files added %u",
      "systemd: Started Session %u of the nightly backup service, waiting for the network (%u)",
      "application: request %u was handled in %u ms, connection goes back to the pool"};
  std::uint64_t mixed = (number + 1) * 6364136223846793005u;
  mixed ^= mixed >> 29;
  std::array<char, 200> line{};
  std::snprintf(line.data(), line.size(), kTemplates[mixed % 6], unsigned(mixed >> 8 & 0x1ff),
                unsigned(mixed >> 24 & 0x3ff));
  return std::string(line.data()) + '\n';
}

}  // namespace unroll::bench
