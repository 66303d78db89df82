// anomaly with a baseline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/logs/judge.h"

namespace unroll {

struct JudgedOptions {
  std::vector<std::string> targets, baselines;
  std::string encoding, time_format, ignore_file, explained;
  std::string out;
  JudgeOptions how;
};

/// --baseline, --ignore-file, --context and --explain.
void add_baseline_flags(CLI::App& command, JudgedOptions& options);

/// Prints the lines of the targets that are not in the baselines. Throws CommandError.
int judge_logs(const JudgedOptions& options);

/// Of --explain. Throws CommandError if it is none.
std::uint64_t line_number(const std::string& text);

/// Of a page about these logs.
std::string report_title(const std::vector<std::string>& logs);

/// --time-format of the plugin anomaly.
void add_time_format(CLI::App& command, std::string& format);

/// --encoding of commands that read logs.
void add_encoding(CLI::App& command, std::string& encoding);

}  // namespace unroll
