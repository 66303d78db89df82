// Reads a document with the daemon: its descriptor goes there, its outputs come back.
#include <memory>
#include <optional>
#include <utility>

#include "client/command_error.h"
#include "client/connection.h"
#include "client/document_events.h"
#include "client/pipe_pump.h"
#include "client/reader.h"

namespace unroll {
namespace {

using nlohmann::json;

json open_parameters(const Source& source, const std::vector<PluginRequest>& plugins) {
  json requests = json::array();
  for (const PluginRequest& plugin : plugins) {
    requests.push_back({{"name", plugin.name}, {"options", plugin.options}});
  }
  return {{"plugins", std::move(requests)}, {"fd", true}, {"name", source.name()}};
}

class SocketReader : public Reader {
 public:
  explicit SocketReader(Connection connection) : connection_(std::move(connection)) {}

  void read(Source& source, const std::vector<PluginRequest>& plugins, const ReadEvents& events) override {
    std::optional<PipePump> pump;
    if (!source.can_be_handed_over()) pump.emplace(source.descriptor());
    const int descriptor = pump ? pump->read_end() : source.descriptor();
    const json opened = connection_.call(method::kOpen, open_parameters(source, plugins), descriptor);
    if (pump) pump->close_read_end();
    follow_document(connection_, opened.at("document").get<std::string>(), events);
  }

 private:
  Connection connection_;
};

}  // namespace

std::unique_ptr<Reader> make_socket_reader(Connection connection) {
  return std::make_unique<SocketReader>(std::move(connection));
}

void follow_document(Connection& connection, const std::string& document, const ReadEvents& events) {
  for (;;) {
    const Notification message = connection.next();
    if (message.params.value("document", "") != document) continue;
    if (message.method == notification::kOutput) {
      events.output(message.params.at("plugin").get<std::string>(), message.params.at("data"));
    } else if (message.method == notification::kProgress && events.progress) {
      ReadProgress progress{message.params.value("bytes", std::uint64_t{0}), std::nullopt,
                            message.params.value("tokens", std::uint64_t{0}),
                            message.params.value("tokens_per_second", 0.0)};
      if (message.params.contains("total_bytes")) {
        progress.total_bytes = message.params["total_bytes"].get<std::uint64_t>();
      }
      events.progress(progress);
    } else if (message.method == notification::kFailed) {
      throw error_from_json(message.params.at("error"));
    } else if (message.method == notification::kDone) {
      return;
    }
  }
}

}  // namespace unroll
