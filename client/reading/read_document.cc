#include "client/reading/read_document.h"

#include "client/cli/command_error.h"
#include "client/cli/progress.h"

namespace unroll {

void read_document(Reader& reader, Source& source, const ReadRequest& request, ResultWriter& writer,
                   const OutputFunction& output) {
  Progress progress(source.name());
  const bool on_terminal = writer.terminal().present;
  ReadEvents events;
  events.output = [&](std::uint64_t, const std::string& plugin, const nlohmann::json& data) {
    if (on_terminal) progress.hide();
    output(plugin, data);
    if (on_terminal) writer.flush();
  };
  events.progress = [&](const ReadProgress& status) {
    writer.flush();
    progress.update(status);
  };
  events.note = [&](const std::string& text) { progress.note(text); };
  reader.read(source, request, events);
}

ReadRequest request_for(const std::string& plugin, nlohmann::json options) {
  ReadRequest request;
  request.plugins.push_back({plugin, std::move(options)});
  return request;
}

PluginRequest parse_plugin_request(const std::string& text) {
  const std::size_t colon = text.find(':');
  PluginRequest request{text.substr(0, colon), nlohmann::json::object()};
  if (colon == std::string::npos) return request;
  request.options = nlohmann::json::parse(text.substr(colon + 1), nullptr, false);
  if (!request.options.is_object()) {
    throw CommandError("the options of plugin '" + request.name +
                           "' are not a JSON object; write them as --plugin '" + request.name +
                           R"(:{"key": value}')",
                       kExitUsage);
  }
  return request;
}

std::vector<PluginRequest> parse_plugin_requests(const std::vector<std::string>& texts) {
  std::vector<PluginRequest> plugins;
  for (const std::string& text : texts) plugins.push_back(parse_plugin_request(text));
  return plugins;
}

}  // namespace unroll
