// Reads a document with the daemon: sends its descriptor, or its bytes if the descriptor cannot be sent, and
// receives its outputs. If the daemon disconnects, waits for it to return and resumes the document from its
// last commit.
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <poll.h>

#include "base/base64.h"
#include "client/cli/command_error.h"
#include "client/reading/connection.h"
#include "client/reading/daemon_snapshots.h"
#include "client/reading/document_bytes.h"
#include "client/reading/document_events.h"
#include "client/reading/reader.h"

namespace unroll {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// One append is pending at a time: its line fits the socket's buffer, so sending never blocks.
constexpr std::size_t kAppendBytes = 64 * 1024;
/// More than the daemon can have accepted but not committed: its input buffer of a document, and the blocks
/// of one commit.
constexpr std::size_t kKeptBytes = std::size_t{4} << 20;
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kFirstPause{50}, kLongestPause{2000};

std::optional<DocumentStatus> find_document(DaemonConnection& connection, const DocumentId& id) {
  try {
    return status_from_json(connection.call(method::kStatus, {{"document", id}}));
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) throw;
    return std::nullopt;
  }
}

/// One document while it is read, over one or more connections.
class SocketReading {
 public:
  SocketReading(std::optional<DaemonConnection>& connection, const std::filesystem::path& socket,
                const std::string& model, Source& source, const ReadRequest& request,
                const ReadEvents& events)
      : connection_(connection),
        socket_(socket),
        model_(model),
        source_(source),
        request_(request),
        events_(events),
        resume_(request.resume),
        from_(request.resume ? request.from : 0),
        bytes_(source, kKeptBytes),
        follower_(events) {}

  void run() {
    while (!try_to_end()) {
      wait_for_daemon();
      if (follower_.document().empty()) continue;
      resume_ = follower_.document();
      from_ = follower_.first_undelivered();
    }
  }

 private:
  /// Who reads the document's bytes: this client, the daemon from the descriptor it was sent, or the daemon
  /// by itself.
  enum class Input { kBytes, kDescriptor, kElsewhere };

  /// Returns true when the document is done; false to try again.
  bool try_to_end() {
    try {
      if (!connection_) connect();
      open();
      while (!serve_messages()) {
        if (wait()) feed();
      }
      return true;
    } catch (const DaemonGone& gone) {
      connection_.reset();
      lost(gone.what());
    } catch (const Error& error) {
      if (!may_pass(error.code)) throw;
      lost(error.what());
    } catch (const std::exception&) {
      cancel();
      throw;
    }
    return false;
  }

  /// Whether the error is temporary: the daemon is stopping, or it has just noticed that the document's
  /// earlier client is gone.
  bool may_pass(ErrorCode code) const {
    return code == ErrorCode::kShuttingDown || (code == ErrorCode::kPeerGone && input_ == Input::kElsewhere);
  }

  void lost(const std::string& why) {
    if (!follower_.document().empty() && source_.can_be_handed_over() && !source_.is_file()) {
      throw DaemonGone(source_.name() + " is a pipe, and what was read of it cannot be read again: " + why);
    }
    if (lost_since_) return;
    lost_since_ = Clock::now();
    pause_ = kFirstPause;
    why_lost_ = why;
    if (events_.note) events_.note("the daemon on " + socket_.string() + " went away; waiting for it");
  }

  void wait_for_daemon() {
    if (Clock::now() - *lost_since_ > kPatience) throw DaemonGone(why_lost_);
    for (auto rest = pause_; rest.count() > 0; rest -= std::chrono::milliseconds(kHeartbeatMs)) {
      ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(rest.count(), kHeartbeatMs)));
      follower_.progress().beat();
    }
    pause_ = std::min(2 * pause_, kLongestPause);
  }

  void connect() {
    std::string why;
    connection_ = DaemonConnection::open(socket_, why);
    if (!connection_) throw DaemonGone(why + "; restart the daemon, and run the command again");
  }

  /// Cancels the document instead of ending it, so that it can be resumed.
  void cancel() noexcept {
    if (!connection_ || follower_.document().empty() || input_ == Input::kElsewhere) return;
    try {
      connection_->call(method::kCancel, {{"document", follower_.document()}});
      // It can be resumed only after that.
      for (bool over = false; !over;) {
        const Notification message = connection_->next();
        over = message.params.value("document", "") == follower_.document() &&
               (message.method == notification::kFailed || message.method == notification::kDone);
      }
    } catch (const std::exception&) {
      connection_.reset();  // also ends the document
    }
  }

  void open() {
    std::optional<DocumentStatus> before = known();
    if (before && before->phase == DocumentPhase::kDone) return attach(before->id);
    if (before) {
      try {
        return begin(connection_->call(method::kOpen, open_parameters(before->id), handed_over()), *before);
      } catch (const Error& error) {
        if (error.code != ErrorCode::kDocumentState) throw;
        // The daemon is reading it, by itself or for a client that is gone. A document that failed by itself
        // cannot be resumed.
        if (before->phase == DocumentPhase::kOpen) return attach(before->id);
      }
    }
    begin(connection_->call(method::kOpen, open_parameters(std::nullopt), handed_over()), std::nullopt);
  }

  std::optional<DocumentStatus> known() const {
    return resume_ ? find_document(*connection_, *resume_) : std::nullopt;
  }

  int handed_over() const { return source_.can_be_handed_over() ? source_.descriptor() : -1; }

  json open_parameters(const std::optional<DocumentId>& resume) const {
    json parameters = {{"plugins", plugins_to_json(request_.plugins)}, {"name", source_.name()}};
    parameters[source_.can_be_handed_over() ? "fd" : "stream"] = true;
    if (!source_.can_be_handed_over() && source_.total_bytes())
      parameters["total_bytes"] = *source_.total_bytes();
    if (request_.flush_after) parameters["flush_after_ms"] = request_.flush_after->count();
    if (request_.keep_outputs) parameters["keep_outputs"] = *request_.keep_outputs;
    if (!model_.empty()) parameters["model"] = model_;
    if (resume) parameters["resume"] = *resume;
    if (request_.after) parameters["from"] = *request_.after;
    if (request_.snapshot) parameters["snapshot"] = snapshot_parameters(*request_.snapshot);
    return parameters;
  }

  void begin(const json& opened, const std::optional<DocumentStatus>& before) {
    input_ = source_.can_be_handed_over() ? Input::kDescriptor : Input::kBytes;
    room_ = true;
    ended_ = input_ == Input::kDescriptor;
    const auto id = opened.at("document").get<DocumentId>();
    const auto next = opened.at("next_sequence").get<std::uint64_t>();
    if (!before && follower_.document().empty()) from_ = 0;
    if (before && next > from_) {
      subscribe(id);
    } else {
      follower_.start(id, next, from_);
    }
    announce(id);
    if (before) follower_.progress().report({before->bytes, before->total_bytes, before->tokens, 0});
    if (input_ == Input::kBytes) bytes_.go_to(opened.at("resume_bytes").get<std::uint64_t>());
  }

  void attach(const DocumentId& id) {
    input_ = Input::kElsewhere;
    ended_ = true;
    subscribe(id);
    announce(id);
  }

  /// Subscribes to earlier outputs, then new ones.
  void subscribe(const DocumentId& id) {
    connection_->call(method::kAttach, {{"document", id}, {"from", from_}});
    connection_->forget_notifications();  // of the subscription that this one replaces
    follower_.start(id, from_, from_);
  }

  void announce(const DocumentId& id) {
    if (announced_ == id) return;
    announced_ = id;
    if (events_.opened) events_.opened(id);
  }

  /// Returns true when the document is done. Throws Error if it failed.
  bool serve_messages() {
    while (connection_->has_message()) {
      const auto message = connection_->next_message();
      if (const auto* response = std::get_if<Response>(&message)) {
        // The response to an append: there is room again. If the document has failed meanwhile, a
        // notification gives the reason.
        if (response->error && response->error->code != ErrorCode::kDocumentState) throw *response->error;
        room_ = true;
        ended_ = ended_ || response->error;
      } else {
        lost_since_.reset();
        if (follower_.take(std::get<Notification>(message))) return true;
      }
    }
    follower_.progress().beat();
    return false;
  }

  /// Waits briefly for the daemon or the source; true if there are bytes and the daemon has room for
  /// them.
  bool wait() const {
    const bool hungry = room_ && !ended_;
    if (hungry && bytes_.ready()) return true;
    std::array<pollfd, 2> waited = {pollfd{connection_->descriptor(), POLLIN, 0},
                                    pollfd{hungry ? source_.descriptor() : -1, POLLIN, 0}};
    if (::poll(waited.data(), waited.size(), kHeartbeatMs) < 0 && errno != EINTR)
      throw CommandError(system_message("cannot wait for " + source_.name(), errno));
    return waited[1].revents != 0;
  }

  void feed() {
    const auto bytes = bytes_.next(kAppendBytes);
    if (!bytes) {
      ended_ = true;
      connection_->post(method::kEnd, {{"document", follower_.document()}});
    } else if (!bytes->empty()) {
      room_ = false;
      connection_->post(method::kAppend,
                        {{"document", follower_.document()}, {"base64", base64_encode(*bytes)}});
    }
  }

  std::optional<DaemonConnection>& connection_;
  const std::filesystem::path& socket_;
  const std::string& model_;
  Source& source_;
  const ReadRequest& request_;
  const ReadEvents& events_;
  std::optional<DocumentId> resume_;
  std::uint64_t from_;  ///< First output to deliver.
  DocumentBytes bytes_;
  DocumentFollower follower_;
  DocumentId announced_;
  Input input_ = Input::kElsewhere;
  bool room_ = true, ended_ = false;
  std::optional<Clock::time_point> lost_since_;
  std::chrono::milliseconds pause_{};
  std::string why_lost_;
};

class SocketReader : public Reader {
 public:
  SocketReader(std::filesystem::path socket, std::optional<DaemonConnection> connection, std::string model)
      : socket_(std::move(socket)), connection_(std::move(connection)), model_(std::move(model)) {}

  void read(Source& source, const ReadRequest& request, const ReadEvents& events) override {
    SocketReading(connection_, socket_, model_, source, request, events).run();
  }
  std::unique_ptr<Reader> another() override {
    return std::make_unique<SocketReader>(socket_, std::nullopt, model_);
  }
  bool has_document(const DocumentId& id) override { return find_document(connection(), id).has_value(); }
  std::string model() override {
    const json info =
        connection().call(method::kInfo, model_.empty() ? json::object() : json{{"model", model_}});
    const json model = info.value("model", json::object());
    return model_text(model.value("checkpoint", ""), model.value("dtype", ""));
  }
  std::vector<SnapshotInfo> snapshots() override { return list_snapshots(connection()); }
  bool keeps_snapshots() const override { return true; }
  std::string export_snapshot(const std::string& name) override {
    return ::unroll::export_snapshot(connection(), name);
  }
  SnapshotInfo import_snapshot(const std::string& file, const SnapshotRequest& request) override {
    return ::unroll::import_snapshot(connection(), file, request, model_);
  }
  void delete_snapshot(const std::string& name) override {
    connection().call(method::kSnapshotDelete, {{"name", name}});
  }

 private:
  DaemonConnection& connection() {
    if (!connection_) connection_ = require_daemon(socket_);
    return *connection_;
  }

  std::filesystem::path socket_;
  std::optional<DaemonConnection> connection_;  ///< Opened when needed.
  std::string model_;                           ///< One of the daemon's; empty: its first.
};

}  // namespace

std::unique_ptr<Reader> make_socket_reader(DaemonConnection connection, std::string model) {
  std::filesystem::path socket = connection.socket();
  return std::make_unique<SocketReader>(std::move(socket), std::move(connection), std::move(model));
}

}  // namespace unroll
