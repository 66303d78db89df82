// Follows one source: an endless document that outlives the process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "client/follow/event_filter.h"
#include "client/follow/event_outlets.h"
#include "client/follow/follow_memory.h"
#include "client/follow/follow_source.h"
#include "client/follow/followed_pump.h"
#include "client/follow/kept_text.h"
#include "client/reading/reader.h"
#include "client/views/follow_view.h"

namespace unroll {

/// What all sources of a process share.
struct FollowShared {
  EventOutlets outlets;
  std::mutex snapshots;             ///< Held while one is made.
  std::atomic<bool> stops = false;  ///< All end.
};

/// One run. Not thread-safe.
class Following {
 public:
  /// Takes the source's state, which no other process may have. `names_source`: lines of text begin with the
  /// source's name. Borrows options and shared. Throws CommandError.
  Following(const FollowOptions& options, FollowSource source, bool names_source, FollowShared& shared);
  const FollowFiles& files() const { return memory_.files(); }

  /// Reads until FollowShared::stops, a signal, or the source's end. Throws CommandError, Error.
  void run(Reader& reader);

 private:
  struct Stopped {};  // thrown to end Reader::read() cleanly

  bool read(Reader& reader, FollowView& view);
  std::optional<std::string> snapshot(Reader& reader) const;
  std::unique_ptr<FollowedPump> make_pump();
  void go_on_after_earlier_version();
  nlohmann::json place_of_earlier_version() const;
  ReadEvents events(FollowView& view);
  void progress(const ReadProgress& progress, FollowView& view);
  bool is_over();
  bool all_is_judged() const;
  void take(nlohmann::json event, const std::string& text);
  void opened(const DocumentId& id);
  void record_if_due(FollowView& view);
  void record(FollowView& view);

  using Clock = std::chrono::steady_clock;
  const FollowOptions& options_;
  const FollowSource source_;
  const bool names_source_;
  FollowShared& shared_;
  FollowMemory memory_;
  const FollowState before_;
  KeptText kept_;
  const std::uint64_t kept_before_;  ///< The document's bytes that were kept by earlier runs end there.
  EventFilter filter_;
  EventLog log_;
  ReadRequest request_;
  DocumentId document_;
  std::uint64_t next_output_, bytes_;
  bool changed_ = false;
  Clock::time_point recorded_;
  std::shared_ptr<std::atomic<bool>> drained_ = std::make_shared<std::atomic<bool>>(false);
  std::uint64_t judged_ = 0;                     ///< Where the last line that was judged ends; 0: unknown.
  std::optional<Clock::time_point> gone_since_;  ///< The file, with all of it judged.
};

}  // namespace unroll
