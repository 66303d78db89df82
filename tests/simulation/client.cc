#include "tests/simulation/client.h"

#include <algorithm>

#include "base/sha256.h"

namespace unroll::simulation {

/// Events on their way from the engine to the client. The engine may hold it longer than the client does.
struct Client::Connection final : DocumentListener {
  std::deque<Output> outputs;
  std::optional<DocumentStatus> end;
  std::shared_ptr<bool> room = std::make_shared<bool>(true);

  void on_output(const DocumentId&, const Output& output) override {
    const MemoryFault::Pause pause;
    outputs.push_back(output);
  }
  void on_progress(const DocumentStatus&) override {}
  void on_done(const DocumentStatus& status) override { finish(status); }
  void on_failed(const DocumentStatus& status) override { finish(status); }

 private:
  void finish(const DocumentStatus& status) {
    const MemoryFault::Pause pause;
    if (end) throw Violation("a listener is notified twice that its document has ended");
    end = status;
  }
};

void Client::violation(const std::string& what) const {
  throw Violation(describe() + ": " + what);
}

std::string Client::describe() const {
  return "document " + id_.value_or("(none)") + " (" + std::to_string(text_.size()) + " bytes, sent " +
         std::to_string(sent_) + ", safe " + std::to_string(safe_) + ", heard " + std::to_string(heard_) +
         " of " + std::to_string(expected_.size()) +
         (connected() || refused_.empty() ? ")" : ", away: " + refused_ + ")");
}

void Client::act(EngineCore& core) {
  switch (state_) {
    case State::kAway:
      return come(core);
    case State::kSending:
      return chance(random_, 0.5) ? send(core) : hear(core);
    case State::kListening:
      return hear(core);
    case State::kFinished:
      return;
  }
}

/// Because of the disk; or the journal has refused the document, and the connection will report it.
void Client::expect_trouble(const Error& error) const {
  const bool refused = error.code == ErrorCode::kDocumentUnknown && !*accepted_;
  if (error.code != ErrorCode::kJournal && !refused) violation(error.what());
}

template <class Call>
bool Client::attempt(Call call) {
  try {
    const MemoryFault fault(edges_.next_memory_fault());
    call();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

/// What fails now because of the disk, a plugin, the model or memory is tried again later.
void Client::come(EngineCore& core) {
  try {
    id_ ? resume(core) : open(core);
  } catch (const Error& error) {
    switch (error.code) {
      case ErrorCode::kJournal:
      case ErrorCode::kLimit:
      case ErrorCode::kPluginFailed:
      case ErrorCode::kModel:
        refused_ = error.what();
        return;
      default:
        violation(error.what());
    }
  }
}

void Client::open(EngineCore& core) {
  auto wanted = request();
  if (!before_.empty()) {
    if (!has_snapshot(core)) return;
    wanted.from = snapshot_;
  }
  wanted.priority = static_cast<int>(pick(random_, 21)) - 10;
  if (chance(random_, 0.1)) wanted.deadline = std::chrono::milliseconds(1 + pick(random_, 20'000));
  if (chance(random_, 0.2)) wanted.text = text_;
  auto connection = std::make_shared<Connection>();
  Opened opened;
  accepted_ = std::make_shared<bool>(false);
  const AcceptFunction accepted = [flag = accepted_](std::exception_ptr failure, const Opened&) {
    *flag = !failure;  // if it failed, its listener is notified, too
  };
  if (!attempt([&] { opened = core.open(wanted, connection, accepted); })) return;
  if (opened.resume_bytes != 0 || opened.next_sequence != 0) violation("a new document does not begin at 0");
  id_ = opened.id;
  connection_ = std::move(connection);
  state_ = State::kSending;
  if (!before_.empty() && chance(random_, 0.3)) {  // the document does not need its name any more
    try {
      attempt([&] { core.remove_snapshot(owner_, snapshot_); });
    } catch (const Error& error) {
      expect_trouble(error);
    }
  }
  if (wanted.text) {
    sent_ = ever_sent_ = text_.size();
    state_ = State::kListening;
  }
}

/// If not, it is made, or made again: whole or not at all.
bool Client::has_snapshot(EngineCore& core) {
  for (const auto& known : core.snapshots(owner_)) {
    if (known.name != snapshot_) continue;
    Sha256 digest;
    digest.add(before_);
    if (known.bytes != before_.size() || known.sha256 != digest.digest())
      violation("its snapshot is not of the bytes that were sent");
    if (!chance(random_, 0.1)) return true;
    attempt([&] { core.remove_snapshot(owner_, snapshot_); });
    return false;
  }
  try {
    if (snapshot_of_ && core.status(*snapshot_of_).phase == DocumentPhase::kOpen &&
        is_being_read(core, *snapshot_of_))
      return false;
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) throw;
  }
  auto wanted = request();
  wanted.flush_after.reset();
  wanted.text = before_;
  wanted.snapshot = SnapshotRequest{snapshot_, {}};
  attempt([&] { snapshot_of_ = core.open(wanted, nullptr).id; });
  return false;
}

DocumentRequest Client::request() const {
  DocumentRequest request;
  request.revision = model_;
  request.plugins = Library::plugins(flushed_);
  request.owner = owner_;
  if (flushed_) request.flush_after = std::chrono::milliseconds(pick(random_, 3000));
  return request;
}

/// As document.open with `resume`, or document.attach if there is nothing left to send.
void Client::resume(EngineCore& core) {
  DocumentStatus status;
  try {
    status = core.status(*id_);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) throw;
    if (*accepted_) violation("an accepted document no longer exists");
    return begin_anew();
  }
  if (status.model != model_->name) violation("it is said to be read by " + status.model);
  auto connection = std::make_shared<Connection>();
  const bool has_ended = !can_resume(status);
  const bool being_read = !has_ended && is_being_read(core, *id_);
  if (!being_read) *accepted_ = true;  // the journal has it
  if (has_ended || being_read) {
    if (!attempt([&] { core.attach(*id_, heard_, connection); })) return;
    state_ = State::kListening;
  } else {
    auto wanted = request();
    wanted.resume = id_;
    Opened opened;
    if (!attempt([&] { opened = core.open(wanted, connection); })) return;
    ++resumes_;
    if (opened.next_sequence < heard_) violation("outputs that were delivered are not in the journal");
    if (opened.resume_bytes < safe_) violation("bytes that were reported as committed are wanted again");
    if (opened.resume_bytes > ever_sent_)
      violation("more bytes are reported as committed than were ever sent");
    Sha256 prefix;
    prefix.add(std::string_view(text_).substr(0, opened.resume_bytes));
    const bool is_known = opened.resume_bytes > 0 && before_.empty();
    if (is_known && opened.resume_sha256 != prefix.digest())
      violation("the bytes before the resume point are known by another digest");
    safe_ = sent_ = opened.resume_bytes;
    try {
      catch_up(core, opened.next_sequence);
    } catch (const Error&) {
      core.cancel(*id_, Error(ErrorCode::kPeerGone, "the peer gives up"));
      throw;
    }
    state_ = State::kSending;
  }
  connection_ = std::move(connection);
}

/// Our connection broke, and the engine does not know it yet, or continues without us.
bool Client::is_being_read(EngineCore& core, const DocumentId& id) {
  try {
    core.resume_point(id);
    return false;
  } catch (const Error& error) {
    if (error.code == ErrorCode::kDocumentState) return true;
    throw;
  }
}

/// Outputs that were committed and never reached us.
void Client::catch_up(EngineCore& core, std::uint64_t end) {
  while (heard_ < end) {
    const auto outputs = core.outputs(*id_, heard_, 1 + pick(random_, 8));
    if (outputs.empty()) violation("committed outputs are missing from " + std::to_string(heard_) + " on");
    for (const auto& output : outputs) take(output);
  }
}

void Client::send(EngineCore& core) {
  if (connection_->end || !*connection_->room) return;
  try {
    if (sent_ == text_.size()) {
      if (attempt([&] { core.end(*id_); })) state_ = State::kListening;
      return;
    }
    const auto most = std::min<std::uint64_t>(text_.size() - sent_, chance(random_, 0.1) ? 4000 : 200);
    auto piece = text_.substr(sent_, 1 + pick(random_, most));
    const auto length = piece.size();
    *connection_->room = false;
    std::function<void()> room = [room = connection_->room] { *room = true; };
    if (!attempt([&] { core.append(*id_, std::move(piece), std::move(room)); })) {
      *connection_->room = true;
      return;
    }
    sent_ += length;
    ever_sent_ = std::max(ever_sent_, sent_);
  } catch (const Error& error) {
    // It has ended meanwhile; the connection will give the reason.
    if (error.code != ErrorCode::kDocumentState) expect_trouble(error);
  }
}

void Client::hear(EngineCore&) {
  for (auto count = 1 + pick(random_, 10); count > 0 && !connection_->outputs.empty(); --count) {
    take(connection_->outputs.front());
    connection_->outputs.pop_front();
  }
  if (connection_->outputs.empty() && connection_->end) ended(*std::exchange(connection_->end, std::nullopt));
}

void Client::take(const Output& output) {
  if (!*accepted_) violation("received an output of a document that is not accepted");
  if (output.sequence != heard_) {
    violation("received output " + std::to_string(output.sequence) + " where " + std::to_string(heard_) +
              " was next");
  }
  const auto text = output.plugin + " " + output.json;
  if (heard_ >= expected_.size() || text != expected_[heard_]) {
    violation("output " + std::to_string(heard_) + " is not that of an undisturbed run: " + text);
  }
  ++heard_;
}

void Client::ended(const DocumentStatus& status) {
  if (status.phase == DocumentPhase::kDone) {
    if (heard_ != expected_.size()) violation("done before the last output");
    state_ = State::kFinished;
    return;
  }
  switch (status.error_code.value_or(ErrorCode::kInternal)) {
    case ErrorCode::kPeerGone:
    case ErrorCode::kCancelled:
    case ErrorCode::kDeadline:
    case ErrorCode::kJournal:        // because of the disk
    case ErrorCode::kDocumentState:  // attached to by another connection of ours
      return disconnect(nullptr);
    case ErrorCode::kModel:
    case ErrorCode::kPluginFailed:
    case ErrorCode::kInternal:
      return begin_anew();
    default:
      violation("failed: " + status.error);
  }
}

/// It failed for good: opens another document with the same text.
void Client::begin_anew() {
  disconnect(nullptr);
  id_.reset();
  sent_ = ever_sent_ = safe_ = heard_ = 0;
}

void Client::disconnect(EngineCore* core) {
  if (!connected()) return;
  if (core != nullptr && state_ == State::kSending) {
    const Error gone(ErrorCode::kPeerGone, "the peer is gone");
    if (!attempt([&] { core->cancel(*id_, gone); })) core->cancel(*id_, gone);
  }
  connection_.reset();
  state_ = State::kAway;
}

void Client::cancel(EngineCore& core) {
  if (!connected()) return;
  try {
    const Error cancelled(ErrorCode::kCancelled, "cancelled");
    attempt([&] {
      if (!core.cancel(*id_, cancelled)) core.cancel_waiting(*id_, cancelled);
    });
  } catch (const Error& error) {
    expect_trouble(error);
  }
}

void Client::attach(EngineCore& core) {
  if (!connected()) return;
  auto connection = std::make_shared<Connection>();
  connection->room = connection_->room;
  try {
    if (!attempt([&] { core.attach(*id_, heard_, connection); })) return;
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentState) expect_trouble(error);
    return;
  }
  connection_ = std::move(connection);
}

}  // namespace unroll::simulation
