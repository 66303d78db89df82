// Ranks the lines of a log of which the model reads only some: of lines of one shape the first ones.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"
#include "client/reading/read_document.h"
#include "client/reading/reader.h"
#include "client/sources/source.h"

namespace unroll {

/// Calls `output` with what the plugin anomaly, with these options, says of the log. The model reads the
/// first `budget` lines of each shape as one document. Of other lines their shape, severity and numbers, and
/// when they come, count as ever, but not their surprisal. `log`: text, for which keep_text() was called; it
/// is read twice. Memory: about 100 bytes for each shape, of at most a million (lines of further shapes are
/// read), and the tokens of a block. Throws CommandError, Error.
void read_within_budget(Reader& reader, const Source& log, std::uint64_t budget,
                        const nlohmann::json& plugin_options, ResultWriter& writer,
                        const OutputFunction& output);

}  // namespace unroll
