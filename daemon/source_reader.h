// unrolld's side of a source reader (source_reader_main.cc), the process that holds the descriptors that one
// user sent. The I/O thread never blocks on it and abandons a reader that does not answer: only its user's
// documents fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/types.h>

#include "base/unique_fd.h"
#include "daemon/source_files.h"
#include "daemon/source_wire.h"

namespace unroll {

/// For the I/O thread only.
class SourceReader : public std::enable_shared_from_this<SourceReader> {
 public:
  struct Answer {
    bool lost = false;  ///< The reader is lost: there is no answer, and there will be no others.
    source_wire::Reply reply;
    std::string path, text, data;

    bool failed() const { return lost || reply.outcome == source_wire::Outcome::kFailed; }
    /// Why it failed, for an error's text.
    std::string why() const;
    std::optional<FileLocation> location() const;
  };
  using Done = std::function<void(Answer)>;
  using Clock = std::chrono::steady_clock;

  struct Settings {
    std::uint64_t most_descriptors = 0;
    std::chrono::milliseconds patience{0};  ///< Timeout of answers, except while a pipe has no bytes.
  };
  /// Called once when the process is killed, which may take long: `lost` if it did not answer.
  using OnEnd = std::function<void(pid_t, bool lost)>;
  /// Starts the process. Throws Error(kInternal).
  SourceReader(boost::asio::io_context& io, const Settings& settings, OnEnd on_end);
  ~SourceReader();
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;

  void start();
  /// Sends a request with `descriptor`, which the caller keeps. `done` is called later, never from inside.
  void ask(source_wire::Request request, std::string_view path, int descriptor, Done done);
  /// The same without an answer.
  void close(std::uint64_t source);
  bool lost() const { return lost_; }
  /// Whether it has no pending requests and no open sources.
  bool idle() const { return pending_.empty() && sources_ == 0; }
  Clock::time_point last_used() const { return last_used_; }

 private:
  struct Message {
    std::string bytes;
    UniqueFd descriptor;
  };
  struct Pending {
    Done done;
    bool prompt;  ///< The answer does not depend on a pipe's writer.
  };

  bool send(const std::string& bytes, int descriptor);
  void send_waiting();
  void wait_for_answers();
  void receive();
  void take(std::string_view message);
  void watch();
  void lose();
  void end(bool lost);

  boost::asio::io_context& io_;
  const Settings settings_;
  const OnEnd on_end_;
  boost::asio::posix::stream_descriptor control_;
  boost::asio::steady_timer watch_;
  pid_t pid_ = -1;
  bool lost_ = false, watching_ = false;
  std::size_t prompt_ = 0;   ///< Number of prompt requests in pending_.
  std::size_t sources_ = 0;  ///< Number of open sources.
  std::uint64_t last_ticket_ = 0;
  Clock::time_point last_used_ = Clock::now();
  Clock::time_point progress_ = Clock::now();  ///< Last time that it answered or had no prompt request.
  std::map<std::uint64_t, Pending> pending_;
  std::deque<Message> waiting_;
};

/// An open descriptor in a reader, closed on destruction. May be destroyed on any thread.
class ForeignSource {
 public:
  ForeignSource(boost::asio::io_context& io, std::shared_ptr<SourceReader> reader, std::uint64_t id)
      : io_(io), reader_(std::move(reader)), id_(id) {}
  ~ForeignSource();
  ForeignSource(const ForeignSource&) = delete;
  ForeignSource& operator=(const ForeignSource&) = delete;

  /// Reads up to kChunkBytes: a file from `offset`, else the next bytes; empty at the end. I/O thread only.
  void read(std::uint64_t offset, SourceReader::Done done);
  /// The same, and at most `bytes`: they stay in the reader, the answer says how many they were and has the
  /// SHA-256 of all that were digested so far.
  void digest(std::uint64_t offset, std::uint64_t bytes, SourceReader::Done done);
  /// Writes a part of `content` from `offset` on, to the same place of a file. The answer says how many
  /// bytes.
  void write(std::uint64_t offset, int content, SourceReader::Done done);

 private:
  boost::asio::io_context& io_;
  std::shared_ptr<SourceReader> reader_;
  const std::uint64_t id_;
};

}  // namespace unroll
