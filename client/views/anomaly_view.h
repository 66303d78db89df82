// The views of `unroll anomaly` without a baseline.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "client/cli/result_writer.h"
#include "client/logs/log_events.h"
#include "client/sources/log_text.h"
#include "client/sources/read_text.h"
#include "client/views/log_report.h"
#include "client/views/view.h"
#include "plugins/builtin/records/times.h"

namespace unroll {

struct AnomalyViewOptions {
  std::string format;         ///< text, json, ndjson
  std::string file;           ///< The log's name.
  std::size_t top = 20;       ///< Events to list.
  std::size_t context = 0;    ///< Lines before and after an odd line, in JSON.
  records::TimeFormat times;  ///< As the lines have it; empty: the usual forms.
  ReadText* text = nullptr;   ///< Without it, objects have no text and nothing that is found in it.
};

/// text: the most unusual events. json: one object with all lines and those events. ndjson: an object per
/// line: file, line, start, end, score, time, text, parts, context, known (null: there is no baseline), and
/// what only some have. `places`: where the text that was read is in the log's bytes; it and
/// AnomalyViewOptions::text outlive the view.
std::unique_ptr<View> make_anomaly_view(const AnomalyViewOptions& options, ResultWriter& writer,
                                        const TextPlaces& places);

/// Adds log `log` to a report. `text`: all of it. `events`: takes its odd lines. Borrows all.
std::unique_ptr<View> make_report_view(LogReport& report, ReadText& text, std::size_t log, LogEvents& events);

}  // namespace unroll
