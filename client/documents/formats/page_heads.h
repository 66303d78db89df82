// Page numbers and running heads of a plain text.
#pragma once

#include <string>
#include <vector>

#include "client/documents/formats/plain_text.h"

namespace unroll::formats {

/// Removes them, and joins the paragraphs that they interrupt. Notes what was done.
void drop_page_heads(std::vector<Paragraph>& paragraphs, std::vector<std::string>& notes);

}  // namespace unroll::formats
