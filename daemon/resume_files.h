// Documents that are files go on by themselves when the daemon starts again. What it takes to find them lies
// in the journal, as DocumentRequest::source.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/context.h"

namespace unroll {

/// For DocumentRequest::source: `location` is where the descriptor that the peer sent was opened, so nothing
/// else will be read for it.
std::string describe_source(const FileLocation& location, const std::vector<PluginRequest>& plugins);

/// Opens again, for the owner of each and with nobody listening, the documents that an earlier daemon left
/// open and whose files are still what they were. The others wait for their clients, and the log says why.
/// `done` is called when each of them is one or the other.
void resume_files(ServerContext& context, std::function<void()> done);

}  // namespace unroll
