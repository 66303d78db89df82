// A JSON-RPC connection: lines with the descriptors that came along, the methods, and the documents that it
// listens to. rpc_session.cc holds the connection, rpc_methods.cc the methods.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "daemon/connection.h"
#include "daemon/document_feed.h"
#include "daemon/protocol.h"
#include "daemon/unique_fd.h"

namespace unroll {

/// All on the I/O thread.
class RpcSession : public Connection {
 public:
  using Connection::Connection;

  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_finished(const DocumentStatus& status) override;
  void shut_down() override;

 private:
  /// A document that this connection opened or attached to and whose end it has not told yet.
  struct Document {
    std::shared_ptr<Subscription> subscription;
    std::shared_ptr<DocumentFeed> feed;  ///< Of an fd document.
    bool owned = false;  ///< Opened here: fails with kPeerGone when the peer leaves before its end.
    bool ended = false;  ///< All its bytes were appended.
    bool input_complete() const { return ended || (feed && feed->complete()); }
  };
  /// Bytes that the engine has taken and has no room behind yet.
  struct Ticket {
    DocumentId document;
    nlohmann::json request_id;
    bool answer = false;  ///< The request waits for it.
  };
  using Handler = std::optional<nlohmann::json> (RpcSession::*)(const Request& request);
  struct Method {
    std::string_view name;
    Handler handler;
  };
  static constexpr std::size_t kMaxTickets = 1;
  static constexpr std::size_t kMaxDescriptors = 4;  ///< Taken with one read; the kernel closes the others.

  // rpc_session.cc
  boost::asio::awaitable<void> serve() override;
  void on_room() override;
  void on_gone() override;
  bool receive();
  void take_descriptors(msghdr& message);
  std::optional<std::string> next_line();
  void drop_stray_descriptors();
  bool peer_hung_up();
  boost::asio::awaitable<void> serve_half_closed();
  void abandon_unfinished();
  void handle(std::string_view line);
  std::optional<nlohmann::json> call(const Request& request);
  void release(const std::shared_ptr<Ticket>& ticket);
  /// Answers with what `make` returns (nullopt: not now) or throws.
  template <class Make>
  void answer(const Request& request, Make make) {
    try {
      const std::optional<nlohmann::json> result = make();
      if (request.has_id && result) send(result_line(request.id, *result));
    } catch (const Error& error) {
      if (request.has_id) send(error_line(request.id, error));
    } catch (const std::exception& error) {
      spdlog::error("{} failed: {}", request.method.substr(0, 100), error.what());
      if (request.has_id) send(error_line(request.id, {ErrorCode::kInternal, error.what()}));
    }
  }
  /// The same for what another thread was at meanwhile.
  template <class Make>
  void answer_later(const Request& request, Make make) {
    answering_ = false;
    answer(request, make);
    signal();
  }
  bool must_wait() const { return answering_ || tickets_.size() > kMaxTickets || !has_room(); }

  // rpc_methods.cc
  static std::span<const Method> methods();
  std::optional<nlohmann::json> open(const Request& request);
  std::optional<nlohmann::json> append(const Request& request);
  std::optional<nlohmann::json> end(const Request& request);
  std::optional<nlohmann::json> status(const Request& request);
  std::optional<nlohmann::json> list(const Request& request);
  std::optional<nlohmann::json> cancel(const Request& request);
  std::optional<nlohmann::json> attach(const Request& request);
  std::optional<nlohmann::json> info(const Request& request);
  std::optional<nlohmann::json> stats(const Request& request);
  std::optional<nlohmann::json> reload(const Request& request);
  std::optional<nlohmann::json> ping(const Request& request);
  std::optional<nlohmann::json> discover(const Request& request);
  nlohmann::json adopt(const Opened& opened, std::shared_ptr<Subscription> subscription,
                       std::optional<std::string> text, std::optional<DocumentSource> source);
  UniqueFd claim_descriptor();
  bool is_connection_to_us(int fd);
  void append_bytes(const DocumentId& id, std::string bytes, const Request* request);
  void start_input(const DocumentId& id, const Opened& opened, std::optional<std::string> text,
                   std::optional<DocumentSource> source);
  void check_owner(const DocumentId& id) const;
  void check_documents() const;
  std::optional<Opened> waits_for_resume(const DocumentId& id) const;

  std::string buffer_;       ///< Received and not handled.
  std::size_t scanned_ = 0;  ///< Bytes of buffer_ without a newline.
  bool too_long_ = false;
  bool stopping_ = false;
  bool answering_ = false;  ///< Another thread is at what was asked for last.
  std::vector<UniqueFd> descriptors_;
  boost::asio::steady_timer descriptors_timer_{context_.io};  ///< Until then their line must be handled.
  bool descriptors_cut_ = false;                              ///< More came than kMaxDescriptors.
  std::map<DocumentId, Document> documents_;
  std::unordered_set<std::shared_ptr<Ticket>> tickets_;
};

}  // namespace unroll
