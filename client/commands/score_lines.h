// score --each-line: every line of a file is a document of its own.
#pragma once

#include "client/cli/result_writer.h"
#include "client/documents/open_document.h"
#include "client/reading/reader.h"
#include "client/views/word_view.h"

namespace unroll {

/// Reads each line that is not blank with the request's plugin, after its snapshot if it names one. format
/// "text": a row per line; "ndjson": the plugin's outputs, with `item`, the line's number from 1. Offsets are
/// those in the line.
void score_each_line(Reader& reader, Source& source, const ReadRequest& request, const std::string& format,
                     ResultWriter& writer);
/// The same for the plugin words.
void score_words_of_each_line(Reader& reader, Source& source, const ReadRequest& request, WordView& view,
                              ResultWriter& writer);

}  // namespace unroll
