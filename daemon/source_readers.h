// The source readers: one process for each user who sent a descriptor, and one that closes connections that
// may still contain descriptors.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "daemon/source_reader.h"

namespace unroll {

/// For the I/O thread only.
class SourceReaders {
 public:
  /// The maximum number of hung processes of one user; then no more are started.
  static constexpr std::size_t kMostLost = 2;

  /// `on_lost` is called with the user of each abandoned reader.
  SourceReaders(boost::asio::io_context& io, const SourceReader::Settings& settings,
                std::function<void(std::uint32_t owner)> on_lost);

  /// This user's reader, started if there is none. Throws Error(kSource) while kMostLost of them hang.
  std::shared_ptr<SourceReader> of(std::uint32_t owner);
  /// Receives up to `bytes` bytes from a connection and drops the descriptors among them.
  void discard(int connection, std::size_t bytes, SourceReader::Done done);
  /// Call this before closing the last descriptor of a connection with unread data: descriptors in flight are
  /// closed with it, which may block.
  void close_connection(int connection);
  /// Call regularly: ends unused readers, and reaps those that have ended.
  void tidy();

 private:
  /// A process that was killed and may not have ended yet.
  struct Ending {
    std::uint32_t owner;
    pid_t process;
    bool lost;
  };
  using EndingList = std::shared_ptr<std::vector<Ending>>;

  std::shared_ptr<SourceReader> start(std::uint32_t owner, std::function<void(std::uint32_t)> on_lost);
  std::shared_ptr<SourceReader> closer();
  void bury();

  boost::asio::io_context& io_;
  const SourceReader::Settings settings_;
  const std::function<void(std::uint32_t)> on_lost_;
  const EndingList ending_ = std::make_shared<std::vector<Ending>>();  ///< Readers may outlive this.
  std::map<std::uint32_t, std::shared_ptr<SourceReader>> readers_;
  std::shared_ptr<SourceReader> closer_;
};

}  // namespace unroll
