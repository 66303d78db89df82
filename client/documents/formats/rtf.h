// Rich Text Format 1.9. No library for it is in Debian.
#pragma once

#include <string_view>

#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

DocumentText read_rtf(std::string_view bytes, const Options& options);

}  // namespace unroll::formats
