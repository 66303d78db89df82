// The steps of bench/gpu.sh: checks and measurements of model/ on a device. Each runs in a process of its
// own, because an error of a kernel ends a process's use of the GPU.
#pragma once

#include <filesystem>
#include <string>

#include "model/config.h"

namespace unroll {

struct Bench {
  std::string device;                ///< cpu or cuda.
  double seconds = 2;                ///< Of each figure.
  std::filesystem::path checkpoint;  ///< Random weights of readme_config().
  std::filesystem::path pretrained;  ///< A pretrained model, for measure_pretrained().
};

/// The model of the reference's README.
ModelConfig readme_config();

// Each prints tables to stdout and throws std::runtime_error if a result is wrong.

/// The device's own arithmetic and memory throughput.
void show_device(const Bench& bench);
/// The row programs, against LibTorch's operators, without graphs. On a CPU: of a smaller model, one row
/// after the other.
void check_programs(const Bench& bench);
/// The same with graphs, for each number of documents that is recorded.
void check_graphs(const Bench& bench);
/// Log-probabilities against the CPU's in fp32, and of a document alone against the same among others.
void check_agreement(const Bench& bench);
/// Tokens per second: bf16 before fp32, one document and many.
void measure_speed(const Bench& bench);
/// Tokens per second for other numbers of rows per launch.
void measure_rows(const Bench& bench);
/// Agreement and speed of a pretrained model.
void measure_pretrained(const Bench& bench);

}  // namespace unroll
