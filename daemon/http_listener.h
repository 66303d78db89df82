// HTTP over TCP, for containers and for programs that know no Unix sockets: off unless http.listen is set or
// systemd passes a TCP socket. Each request needs a token of http.tokens.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "config/config.h"
#include "daemon/context.h"
#include "daemon/http_tokens.h"
#include "daemon/listener.h"

namespace unroll {

class HttpSession;

/// A bound socket and who may use it.
struct HttpDoor {
  UniqueFd socket;
  int family = 0;
  std::string url;  ///< "http://127.0.0.1:8000"
  std::filesystem::path tokens_file;
  std::shared_ptr<const HttpTokens> tokens;

  /// Nullopt if it is off. `passed`: the TCP socket from systemd, or none. Throws Error(kInvalidParams),
  /// which names the key: not an address, in use, no tokens.
  static std::optional<HttpDoor> open(const Config& config, UniqueFd passed);
};

/// For the I/O thread only.
class HttpListener {
 public:
  HttpListener(ServerContext& context, HttpDoor door);
  /// Connections are refused before. Throws Error(kInvalidParams).
  void start();
  void close() { listener_.close(); }
  /// Reads the file of tokens again, and closes the connections whose token is no longer in it. Throws Error,
  /// without changing anything.
  void read_tokens();

 private:
  void take(Socket socket);

  ServerContext& context_;
  const std::filesystem::path tokens_file_;
  const std::string url_;
  const int descriptor_;  ///< The listener's.
  Listener listener_;
  std::list<std::weak_ptr<HttpSession>> sessions_;  ///< The oldest first.
};

}  // namespace unroll
