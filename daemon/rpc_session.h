// A JSON-RPC connection: lines with their descriptors, the methods, and the documents that it listens to.
// rpc_session.cc implements the connection, rpc_methods.cc the methods, rpc_many.cc document.open_many,
// rpc_snapshots.cc those of snapshots.
#pragma once

#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "base/unique_fd.h"
#include "daemon/connection.h"
#include "daemon/document_feed.h"
#include "daemon/import_snapshot.h"
#include "daemon/params.h"
#include "daemon/refusals.h"
#include "protocol/protocol.h"

namespace unroll {

/// For the I/O thread only.
class RpcSession : public Connection {
 public:
  using Connection::Connection;

  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_finished(const DocumentStatus& status) override;
  void shut_down() override;

 private:
  /// A document that this connection opened or attached to and whose end was not sent yet.
  struct Document {
    std::shared_ptr<Subscription> subscription;
    std::shared_ptr<DocumentFeed> feed;  ///< For a document opened with `fd`.
    bool owned = false;  ///< Opened here: fails with kPeerGone if the peer disconnects before its end.
    bool ended = false;  ///< All its bytes were appended.
    /// The snapshot.create that this document is read for. It is answered at the document's end, and nothing
    /// else is sent.
    std::optional<Request> creates;
    bool input_complete() const { return ended || (feed && feed->complete()); }
  };
  /// An append after which the engine has no room yet.
  struct Ticket {
    DocumentId document;
    nlohmann::json request_id;
    bool answer = false;  ///< Whether to send a response then.
  };
  using Handler = std::optional<nlohmann::json> (RpcSession::*)(const Request& request);
  struct Method {
    std::string_view name;
    Handler handler;
  };
  /// The descriptors that came with bytes of this connection.
  struct Attachment {
    std::uint32_t descriptors = 0;  ///< How many.
    std::optional<DocumentSource> source;
    std::exception_ptr error;
  };
  static constexpr std::size_t kMaxTickets = 1, kMaxOpening = 64;

  // rpc_session.cc
  boost::asio::awaitable<void> serve() override;
  void on_room() override;
  void on_gone() override;
  boost::asio::awaitable<bool> receive();
  boost::asio::awaitable<bool> receive_descriptors(std::size_t bytes);
  void attach(const std::shared_ptr<SourceReader>& reader, const SourceReader::Answer& answer);
  std::optional<std::chrono::milliseconds> patience() const;
  bool has_share_of_memory();
  std::optional<std::string> next_line();
  bool peer_hung_up();
  std::vector<std::shared_ptr<Subscription>> subscriptions() const;
  boost::asio::awaitable<void> serve_half_closed();
  boost::asio::awaitable<void> refuse(const Error& error);
  void abandon_unfinished();
  boost::asio::awaitable<void> handle(std::string line);
  boost::asio::awaitable<std::variant<Request, BadRequest>> parse(std::string line);
  std::optional<nlohmann::json> call(const Request& request);
  void release(const std::shared_ptr<Ticket>& ticket);
  bool creates_snapshot(const DocumentId& id) const;
  /// Answers with the result of `make` (nullopt: later) or with the error that it throws.
  template <class Make>
  void answer(const Request& request, Make make) {
    try {
      const std::optional<nlohmann::json> result = make();
      if (request.has_id && result) send(result_line(request.id, *result));
    } catch (const Error& error) {
      count_refusal(context_.events, error, owner());
      if (request.has_id) send(error_line(request.id, error));
    } catch (const std::exception& error) {
      spdlog::error("{} failed: {}", request.method.substr(0, 100), error.what());
      if (request.has_id) send(error_line(request.id, {ErrorCode::kInternal, error.what()}));
    }
  }
  /// The same for a request that another thread has worked on.
  template <class Make>
  void answer_later(const Request& request, Make make) {
    answering_ = false;
    share_.reset();
    answer(request, make);
    signal();
  }
  /// Answers with the result of `work`, which another thread does and puts into JSON: either may take long.
  template <class Work>
  void answer_after(FairPool& pool, const Request& request, Work work) {
    answering_ = true;
    pool.post(owner_, [&io = context_.io, weak = weak_from_this(), this, asked = without_params(request),
                       work = std::move(work)] {
      std::exception_ptr failure;
      std::string line;
      try {
        line = result_line(asked.id, work());
      } catch (...) {
        failure = std::current_exception();
      }
      boost::asio::post(io, [weak, this, asked, failure, line = std::move(line)] {
        const auto self = weak.lock();
        if (!self) return;
        answer_later(asked, [&]() -> std::optional<nlohmann::json> {
          if (failure) std::rethrow_exception(failure);
          if (asked.has_id) send(line);
          return std::nullopt;
        });
      });
    });
  }
  /// For its answer; the parameters may be a whole text.
  static Request without_params(const Request& request) {
    return {request.id, request.has_id, request.method};
  }
  bool must_wait() const {
    return answering_ || opening_.size() >= kMaxOpening || tickets_.size() > kMaxTickets || !has_room();
  }

  // rpc_methods.cc
  static std::span<const Method> methods();
  std::optional<nlohmann::json> open(const Request& request);
  std::optional<nlohmann::json> open_many(const Request& request);
  std::optional<nlohmann::json> append(const Request& request);
  std::optional<nlohmann::json> end(const Request& request);
  std::optional<nlohmann::json> status(const Request& request);
  std::optional<nlohmann::json> list(const Request& request);
  std::optional<nlohmann::json> cancel(const Request& request);
  std::optional<nlohmann::json> remove(const Request& request);
  std::optional<nlohmann::json> attach(const Request& request);
  std::optional<nlohmann::json> info(const Request& request);
  std::optional<nlohmann::json> stats(const Request& request);
  std::optional<nlohmann::json> reload(const Request& request);
  std::optional<nlohmann::json> ping(const Request& request);
  std::optional<nlohmann::json> discover(const Request& request);
  /// A document that is to be opened, and where its bytes come from: one of `text` and `source`, or a stream.
  struct Opening {
    DocumentRequest document;
    std::string model;
    std::optional<std::string> text;
    std::optional<DocumentSource> source;
    bool creates = false;  ///< For snapshot.create.
  };
  void read_source(const Params& params, Opening& opening);
  void begin_opening(const Request& request, Opening opening);
  std::optional<nlohmann::json> adopt(const Request& request, const Opened& opened,
                                      std::shared_ptr<Subscription> subscription, bool has_text, bool creates,
                                      std::optional<DocumentSource> source);
  void answer_opened();
  DocumentSource claim_source();
  void append_bytes(const DocumentId& id, std::string bytes, const Request* request);
  void start_input(const Opened& opened, DocumentSource source);
  /// Throws LimitError if this connection may not have so many more.
  void check_documents(std::size_t more = 1) const;

  // rpc_snapshots.cc
  std::optional<nlohmann::json> create_snapshot(const Request& request);
  std::optional<nlohmann::json> list_snapshots(const Request& request);
  std::optional<nlohmann::json> delete_snapshot(const Request& request);
  std::optional<nlohmann::json> export_snapshot(const Request& request);
  std::optional<nlohmann::json> import_snapshot(const Request& request);
  struct ExportedFile;
  void write_exported(const Request& request, std::shared_ptr<const ExportedFile> file, DocumentSource target,
                      std::uint64_t offset);
  void answer_created(const Request& request, const DocumentStatus& status);

  std::string buffer_;       ///< Received, not handled yet.
  std::size_t scanned_ = 0;  ///< Bytes of buffer_ without a newline.
  LineBudget::Share share_;  ///< Of its user's budget, for a long line.
  bool too_long_ = false;
  bool stopping_ = false;
  /// Documents with `text` that are not accepted yet, in the order of their requests; each holds the
  /// response, empty until known. One commit accepts many, so further ones are opened meanwhile.
  std::deque<std::shared_ptr<std::function<void()>>> opening_;
  bool answering_ = false;                                   ///< Another thread works on the last request.
  Attachment attachment_;                                    ///< Of the line being received or handled.
  std::optional<SourceReader::Answer> received_;             ///< From the source reader.
  std::optional<std::variant<Request, BadRequest>> parsed_;  ///< From a parser thread.
  std::map<DocumentId, Document> documents_;
  std::unordered_set<std::shared_ptr<Ticket>> tickets_;
  std::optional<SnapshotUpload> upload_;  ///< A snapshot's file that is being imported.
};

}  // namespace unroll
