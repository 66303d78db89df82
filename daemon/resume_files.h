// Resumes documents that are files when the daemon restarts. Their locations are in the journal, as
// DocumentRequest::source.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/context.h"

namespace unroll {

/// The text for DocumentRequest::source: what to resume the document with. `location` is that of the
/// descriptor that the peer sent, so no other file will be read.
std::string describe_source(const FileLocation& location, const DocumentRequest& document);

/// Resumes the open documents of an earlier daemon whose files are unchanged, each for its owner and without
/// a listener. The others wait for their clients; the log gives the reason. `done` is called when all
/// documents are resumed or left waiting.
void resume_files(ServerContext& context, std::function<void()> done);

}  // namespace unroll
