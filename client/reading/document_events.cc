#include "client/reading/document_events.h"

namespace unroll {

void ProgressReporter::report(const ReadProgress& progress) {
  last_ = progress;
  reported_ = std::chrono::steady_clock::now();
  if (events_.progress) events_.progress(last_);
}

void ProgressReporter::beat() {
  if (std::chrono::steady_clock::now() - reported_ >= std::chrono::milliseconds(kHeartbeatMs)) report(last_);
}

void ProgressReporter::end(const ReadProgress& all) {
  if (events_.ended) events_.ended(all);
}

void DocumentFollower::start(const DocumentId& document, std::uint64_t next, std::uint64_t from) {
  document_ = document;
  next_ = next;
  from_ = from;
}

bool DocumentFollower::take(const Notification& message) {
  const nlohmann::json& params = message.params;
  if (params.value("document", "") != document_) return false;
  if (message.method == notification::kOutput) {
    // Earlier outputs are delivered again after attaching again.
    if (params.at("sequence") != next_) return false;
    const std::uint64_t sequence = next_++;
    if (sequence >= from_)
      events_.output(sequence, params.at("plugin").get<std::string>(), params.at("data"));
  } else if (message.method == notification::kProgress) {
    ReadProgress progress{params.value("bytes", std::uint64_t{0}), std::nullopt,
                          params.value("tokens", std::uint64_t{0}), params.value("tokens_per_second", 0.0)};
    if (params.contains("total_bytes")) progress.total_bytes = params["total_bytes"].get<std::uint64_t>();
    progress_.report(progress);
  } else if (message.method == notification::kFailed) {
    throw error_from_json(params.at("error"));
  } else if (message.method == notification::kDone) {
    const nlohmann::json summary = params.value("summary", nlohmann::json::object());
    progress_.end({summary.value("bytes", std::uint64_t{0}), progress_.last().total_bytes,
                   summary.value("tokens", std::uint64_t{0}), summary.value("tokens_per_second", 0.0)});
    return true;
  }
  return false;
}

void follow_document(DaemonConnection& connection, const DocumentId& document, std::uint64_t from,
                     const ReadEvents& events) {
  DocumentFollower follower(events);
  follower.start(document, from, from);
  while (!follower.take(connection.next())) {
  }
}

}  // namespace unroll
