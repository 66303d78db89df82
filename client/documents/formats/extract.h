// Turns a document of any format into text.
#pragma once

#include <string>
#include <string_view>

#include "client/documents/document_text.h"
#include "client/documents/formats/archive.h"
#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

/// `name`: of the file, for its ending. `depth`: of archives in archives. Throws Unreadable.
DocumentText extract(std::string_view bytes, const std::string& name, const Options& options, int depth = 0);

/// The documents in an archive of no known kind, each a section.
DocumentText read_members(const ZipArchive& archive, const Options& options, int depth);

}  // namespace unroll::formats
