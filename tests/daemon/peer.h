// A client of the daemon's socket for tests, which can send any bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace unroll::test {

class Peer {
 public:
  /// Connects. Throws std::runtime_error.
  explicit Peer(const std::string& socket);
  /// Connects by TCP to 127.0.0.1. Throws std::runtime_error.
  explicit Peer(std::uint16_t port);

  /// Sends everything, with descriptors on the first byte; false if the other side has closed.
  bool send(std::string_view bytes, const std::vector<int>& descriptors = {});
  /// Sends what the socket takes without waiting; returns the number of bytes.
  std::size_t send_some(std::string_view bytes);
  void close_sending();
  /// Closes this end of the connection.
  int descriptor() const { return descriptor_.get(); }
  /// A line without its newline; nullopt at the end of the stream. Throws if none comes in time.
  std::optional<std::string> line();
  /// Everything up to the end of the stream. Throws if that does not come in time.
  std::string rest();

  /// Sends a request and waits for its answer (the whole message); keeps notifications that come before it.
  nlohmann::json call(const std::string& method, const nlohmann::json& params,
                      const std::vector<int>& descriptors = {});
  /// The next notification.
  nlohmann::json notification();
  std::string notification_text();
  /// A notification that came before an answer.
  bool has_notification() const { return !notifications_.empty(); }
  /// "SEQUENCE PLUGIN DATA" of a document.output, with the data's bytes unchanged.
  static std::string output_text(const std::string& notification);

  struct Document {
    std::vector<std::string> outputs;  ///< As output_text().
    nlohmann::json end;                ///< document.done or document.failed
  };
  /// Receives notifications up to the document's last one; those of other documents are an error.
  Document read_document(const std::string& id);
  /// The same for several documents at once, by their ids.
  std::map<std::string, Document> read_documents(std::size_t count);

 private:
  bool fill();
  UniqueFd descriptor_;
  std::string received_;
  std::deque<std::string> notifications_;
  int next_id_ = 0;
};

/// The whole response to one request on a connection of its own.
std::string http(const std::string& socket, const std::string& request);

}  // namespace unroll::test
