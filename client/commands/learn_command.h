// anomaly with a baseline.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace unroll {

struct JudgedOptions {
  std::vector<std::string> targets, baselines;
  std::string encoding, ignore_file, explained;
  std::string format, out;
  std::size_t top = 20, context = 0;

  bool is_wanted() const {
    return !baselines.empty() || !ignore_file.empty() || !explained.empty() || context > 0;
  }
};

/// --baseline and the options that go with it.
void add_baseline_flags(CLI::App& command, JudgedOptions& options);

/// Prints the lines of the targets that are not in the baselines. Throws CommandError.
int judge_logs(const JudgedOptions& options);

/// Of a page about these logs.
std::string report_title(const std::vector<std::string>& logs);

/// --time-format of the plugin anomaly.
void add_time_format(CLI::App& command, std::string& format);

/// --encoding of commands that read logs.
void add_encoding(CLI::App& command, std::string& encoding);

}  // namespace unroll
