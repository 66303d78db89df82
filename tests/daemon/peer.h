// A client of the daemon's socket that sends any bytes at all, for tests.
#pragma once

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

  /// All of it, with descriptors beside the first byte; false where the other side has closed.
  bool send(std::string_view bytes, const std::vector<int>& descriptors = {});
  /// What the socket takes now, without waiting; how many bytes that was.
  std::size_t send_some(std::string_view bytes);
  void close_sending();
  /// This end of the connection.
  int descriptor() const { return descriptor_.get(); }
  /// A line without its end; nullopt at the end of the stream. Throws where none comes in time.
  std::optional<std::string> line();
  /// Everything up to the end of the stream. Throws where that does not come in time.
  std::string rest();

  /// Sends a request and waits for its answer (the whole message); notifications that come first are kept.
  nlohmann::json call(const std::string& method, const nlohmann::json& params,
                      const std::vector<int>& descriptors = {});
  /// The next notification.
  nlohmann::json notification();
  std::string notification_text();
  /// One came before an answer, and was kept.
  bool has_notification() const { return !notifications_.empty(); }
  /// "SEQUENCE PLUGIN DATA" of a document.output, the data's bytes as they came.
  static std::string output_text(const std::string& notification);

  struct Document {
    std::vector<std::string> outputs;  ///< As output_text().
    nlohmann::json end;                ///< document.done or document.failed
  };
  /// Notifications up to the document's last one; those of other documents are an error.
  Document read_document(const std::string& id);
  /// The same for so many documents at once, by their ids.
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
