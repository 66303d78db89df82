// An HTTP/1.1 connection: one request, its answer, and the end. A thin translation of the protocol for curl
// and for Prometheus. docs/protocol.md lists the paths.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "daemon/connection.h"
#include "daemon/http_query.h"
#include "daemon/protocol.h"

namespace unroll {

/// All on the I/O thread.
class HttpSession : public Connection {
 public:
  HttpSession(ServerContext& context, Socket socket, std::uint32_t owner);

  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_finished(const DocumentStatus& status) override;
  void shut_down() override;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

  boost::asio::awaitable<void> serve() override;
  void on_room() override;
  void on_gone() override;

  /// False where there was no request: an error was answered, or there is nobody to answer.
  boost::asio::awaitable<bool> read_header();
  boost::asio::awaitable<void> route();
  boost::asio::awaitable<void> serve_document(std::string plugin, nlohmann::json options);
  boost::asio::awaitable<void> read_body();
  boost::asio::awaitable<void> append(std::string bytes);
  boost::asio::awaitable<void> open(std::string plugin, nlohmann::json options);
  void abandon();
  bool require_method(std::string_view path, boost::beast::http::verb method);
  std::optional<std::uint64_t> content_length() const;

  void respond(unsigned status, std::string_view content_type, std::string body, std::string_view allow = {});
  void respond_json(const nlohmann::json& body);
  void respond_error(const Error& error, std::optional<unsigned> status = {}, std::string_view allow = {});
  void send_line(std::string line);
  void end_lines();

  boost::beast::flat_buffer buffer_;
  Parser parser_;
  std::shared_ptr<Subscription> subscription_;
  DocumentId document_;
  bool input_complete_ = false;
  bool answering_ = false;  ///< The header of a document's answer is sent: it goes on line by line.
  bool chunked_ = true;     ///< HTTP/1.0 has no chunks: there the end of the connection ends the answer.
  bool finished_ = false;
  bool has_room_in_engine_ = true;
};

}  // namespace unroll
