// bench_model: one step of bench/gpu.sh.
//     bench_model STEP cpu|cuda SECONDS [PRETRAINED]
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <system_error>

#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include "bench/model/steps.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "model/load_transformer.h"

int main(int argc, char** argv) {
  using namespace unroll;
  const std::map<std::string, std::function<void(const Bench&)>> steps{
      {"device", show_device},           {"programs", check_programs}, {"graphs", check_graphs},
      {"agreement", check_agreement},    {"speed", measure_speed},     {"rows", measure_rows},
      {"pretrained", measure_pretrained}};
  const auto step = argc >= 4 ? steps.find(argv[1]) : steps.end();
  if (step == steps.end()) {
    std::fprintf(stderr, "usage: bench_model STEP cpu|cuda SECONDS [PRETRAINED]; steps:");
    for (const auto& [name, run] : steps) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  const c10::InferenceMode guard;
  const auto folder = std::filesystem::temp_directory_path() / ("unroll-bench-" + std::to_string(::getpid()));
  int status = 0;
  try {
    const Bench bench{argv[2], std::stod(argv[3]), folder, argc > 4 ? argv[4] : ""};
    choose_device(bench.device);  // loads LibTorch's library for the device, before anything asks for it
    const auto config = readme_config();
    save_checkpoint(folder, config, random_parameters(config), "fp32");
    step->second(bench);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_model %s: %s\n", argv[1], error.what());
    status = 1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return status;
}
