// Lines of logs with traces, and which record each line belongs to.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/traces.h"

namespace unroll::testing {

/// Lines, and the place of each: '.' begins a record, 't' continues it, 'f' is a step.
struct Trace {
  std::string name, places;
  std::vector<std::string> lines;
};

inline void expect_places(const std::vector<Trace>& logs) {
  for (const Trace& trace : logs) {
    records::Traces traces;
    std::string places;
    bool problem = false;
    for (const auto& line : trace.lines) {
      const auto place = traces.next(records::after_header(line), problem);
      if (place == records::LinePlace::kRecord) problem = records::record_facts(line).severity > 0;
      places += place == records::LinePlace::kRecord ? '.' : place == records::LinePlace::kTrace ? 't' : 'f';
    }
    EXPECT_EQ(places, trace.places) << trace.name << ": " << trace.lines.front();
  }
}

}  // namespace unroll::testing
