// The text layer of a PDF: the pages as `pdftotext -bbox-layout` describes them, turned into paragraphs.
#pragma once

#include <string_view>

#include "client/documents/formats/text_builder.h"

namespace unroll::formats {

/// `layout`: what pdftotext printed. Throws Unreadable if there is no text in it.
DocumentText read_pdf_layout(std::string_view layout, const Options& options);

}  // namespace unroll::formats
