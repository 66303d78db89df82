// What the daemon says of one document, as a Reader's events.
#pragma once

#include <string>

#include "client/connection.h"
#include "client/reader.h"

namespace unroll {

/// Waits until the document is done. Throws Error where it fails, CommandError where the daemon goes away.
void follow_document(Connection& connection, const std::string& document, const ReadEvents& events);

}  // namespace unroll
