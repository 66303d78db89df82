#include "daemon/source_readers.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include "base/error.h"

namespace unroll {
namespace {

using source_wire::Operation;
using source_wire::Request;

constexpr std::chrono::seconds kKeepIdle{30};
/// Timeout for closing connections, which only blocks interruptibly: unreceived descriptors are not open.
constexpr std::chrono::seconds kCloserPatience{2};
constexpr std::uint32_t kNobody = ~std::uint32_t{0};  // no process has this uid

}  // namespace

SourceReaders::SourceReaders(boost::asio::io_context& io, const SourceReader::Settings& settings,
                             std::function<void(std::uint32_t)> on_lost)
    : io_(io), settings_(settings), on_lost_(std::move(on_lost)) {}

std::shared_ptr<SourceReader> SourceReaders::start(std::uint32_t owner,
                                                   std::function<void(std::uint32_t)> on_lost) {
  SourceReader::Settings settings = settings_;
  if (owner == kNobody)
    settings.patience = std::min<std::chrono::milliseconds>(settings.patience, kCloserPatience);
  auto reader = std::make_shared<SourceReader>(
      io_, settings, [ending = ending_, owner, on_lost = std::move(on_lost)](pid_t process, bool lost) {
        ending->push_back({owner, process, lost});
        if (lost && on_lost) on_lost(owner);
      });
  reader->start();
  return reader;
}

std::shared_ptr<SourceReader> SourceReaders::of(std::uint32_t owner) {
  auto& reader = readers_[owner];
  if (reader && !reader->lost()) return reader;
  reader = nullptr;
  bury();
  const auto hanging = std::ranges::count_if(
      *ending_, [&](const Ending& entry) { return entry.owner == owner && entry.lost; });
  if (static_cast<std::size_t>(hanging) >= kMostLost) {
    throw Error(
        ErrorCode::kSource,
        "the file systems of descriptors that you sent before do not answer, and the processes that read "
        "from them still hang; unmount these file systems, or send text or a stream");
  }
  reader = start(owner, on_lost_);
  return reader;
}

std::shared_ptr<SourceReader> SourceReaders::closer() {
  if (!closer_ || closer_->lost()) closer_ = start(kNobody, nullptr);
  return closer_;
}

void SourceReaders::discard(int connection, std::size_t bytes, SourceReader::Done done) {
  Request request;
  request.operation = Operation::kDiscard;
  request.bytes = static_cast<std::uint32_t>(bytes);
  closer()->ask(request, {}, connection, std::move(done));
}

void SourceReaders::close_connection(int connection) {
  Request request;
  request.operation = Operation::kCloseConnection;
  try {
    closer()->ask(request, {}, connection, [](const SourceReader::Answer&) {});
  } catch (const Error& error) {
    spdlog::error("a connection is closed in the daemon itself: {}", error.what());
  }
}

void SourceReaders::bury() {
  std::erase_if(*ending_,
                [](const Ending& entry) { return ::waitpid(entry.process, nullptr, WNOHANG) != 0; });
}

void SourceReaders::tidy() {
  const auto now = SourceReader::Clock::now();
  std::erase_if(readers_, [&](const auto& entry) {
    const auto& reader = entry.second;
    return !reader || reader->lost() || (reader->idle() && now - reader->last_used() > kKeepIdle);
  });
  bury();
}

}  // namespace unroll
