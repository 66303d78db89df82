#include "daemon/events.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "protocol/protocol.h"

namespace unroll {
namespace {

namespace level = spdlog::level;

std::string user(std::uint32_t owner) {
  return "user " + std::to_string(owner);
}

/// The log level depends on whether the client or the daemon caused the error.
level::level_enum level_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
    case ErrorCode::kPeerGone:
    case ErrorCode::kDeadline:
    case ErrorCode::kShuttingDown:
      return level::info;
    case ErrorCode::kJournal:
    case ErrorCode::kModel:
    case ErrorCode::kInternal:
      return level::err;
    default:
      return level::warn;
  }
}

}  // namespace

void Events::document_failed(const DocumentStatus& status) {
  const ErrorCode code = status.error_code.value_or(ErrorCode::kInternal);
  const std::string_view name = error_entry(code).name;
  if (code == ErrorCode::kJournal) tell(level::err, "journal_error", "commit", status.error);
  std::string text =
      "document " + status.id + " of " + user(status.owner) + " failed (" + std::string(name) + ")";
  // A plugin's error text may quote the document.
  if (code != ErrorCode::kPluginFailed) text += ": " + status.error;
  tell(level_of(code), "document_failed", name, text);
}

void Events::refused(const Error& error, std::uint32_t owner) {
  const auto* limit = dynamic_cast<const LimitError*>(&error);
  if (error.code == ErrorCode::kJournal) tell(level::err, "journal_error", "open", error.what());
  tell(level::warn, "refused", limit != nullptr ? limit->key : error_entry(error.code).name,
       user(owner) + " was refused: " + error.what());
}

void Events::no_token(const std::string& peer) {
  tell(level::warn, "refused", "token", peer + " was refused: no valid token");
}

void Events::worker_lost(std::string_view plugin, std::string_view reason, std::string_view text) {
  tell(level::warn, "worker_lost", reason,
       "plugin " + std::string(plugin) + ": its worker " + std::string(text));
}

void Events::reader_lost(std::uint32_t owner) {
  tell(level::warn, "source_reader_lost", "no_answer",
       "a descriptor that " + user(owner) +
           " sent does not answer (a hung file system?): the process that read from it was abandoned, "
           "and the documents that it read have failed");
}

void Events::journal_failed(const std::string& error) {
  tell(level::err, "journal_error", "write", error);
}

void Events::not_accepted(std::string_view why) {
  tell(level::err, "not_accepted", "no_descriptor",
       "a connection could not be accepted: " + std::string(why));
}

void Events::sandbox_weaker(std::string_view reason, std::string_view text) {
  tell(level::warn, "sandbox_weaker", reason, std::string(text));
}

void Events::not_reloaded(const Error& error) {
  tell(level::err, "not_reloaded", error_entry(error.code).name,
       std::string("not reloaded, nothing has changed: ") + error.what());
}

void Events::model_not_loaded(const std::string& model, const Error& error) {
  tell(level::err, "model_not_loaded", error_entry(error.code).name,
       "model " + model + ": not loaded: " + error.what());
}

Events::Counts Events::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void Events::tell(level::level_enum level, std::string_view kind, std::string_view reason,
                  const std::string& text) {
  std::uint64_t unsaid = 0;
  {
    const std::lock_guard lock(mutex_);
    ++counts_[{std::string(kind), std::string(reason)}];
    Kind& state = kinds_.try_emplace(std::string(kind)).first->second;
    const auto now = now_();
    if (state.filled != Clock::time_point{}) {
      const std::chrono::duration<double> passed = now - state.filled;
      state.left = std::min<double>(kBurst, state.left + passed / std::chrono::duration<double>(kBetween));
    }
    state.filled = now;
    if (state.left < 1) {
      ++state.unsaid;
      return;
    }
    state.left -= 1;
    unsaid = std::exchange(state.unsaid, 0);
  }
  if (unsaid > 0) {
    spdlog::log(level, "{} ({} similar messages suppressed)", text, unsaid);
  } else {
    spdlog::log(level, "{}", text);
  }
}

}  // namespace unroll
