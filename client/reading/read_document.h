// Reads one document with a Reader into a View.
#pragma once

#include <string>
#include <vector>

#include "client/reading/reader.h"
#include "client/views/view.h"

namespace unroll {

using OutputFunction = std::function<void(const std::string& plugin, const nlohmann::json& data)>;

/// Reads with a progress bar, which is hidden while `output` writes to a terminal.
void read_document(Reader& reader, Source& source, const ReadRequest& request, ResultWriter& writer,
                   const OutputFunction& output);

/// For one plugin, with nothing else.
ReadRequest request_for(const std::string& plugin, nlohmann::json options);

/// "NAME" or "NAME:{...}", as --plugin takes it. Throws CommandError(kExitUsage).
PluginRequest parse_plugin_request(const std::string& text);
std::vector<PluginRequest> parse_plugin_requests(const std::vector<std::string>& texts);

}  // namespace unroll
