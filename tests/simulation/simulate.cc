// simulate: runs simulations, one seed each, until the time is up or one fails.
#include <chrono>
#include <iostream>
#include <random>

#include <CLI/CLI.hpp>

#include "tests/simulation/simulator.h"

int main(int argc, char** argv) {
  using namespace unroll::simulation;
  CLI::App app("Plays the engine and its journal through crashes, faults and interleavings, from seeds.");
  std::uint64_t seed = std::random_device()();
  std::uint64_t runs = 0;
  double seconds = 60;
  bool verbose = false;
  app.add_option("--seed", seed, "The first run's seed; the next runs have the next ones (random)");
  app.add_option("--runs", runs, "So many runs, whatever the time takes");
  app.add_option("--seconds", seconds, "Begin no run after so long")->capture_default_str();
  app.add_flag("--verbose", verbose, "Print every event; to replay a run that went wrong");
  CLI11_PARSE(app, argc, argv);

  const Library library;
  Report total;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::uint64_t played = 0;
  for (; runs > 0 ? played < runs : elapsed() < seconds; ++played) {
    const auto report = simulate(library, seed + played, verbose);
    if (!report.failure.empty()) {
      std::cout << "seed " << seed + played << " went wrong at step " << report.steps << ": "
                << report.failure << "\nreplay it with: simulate --runs 1 --verbose --seed " << seed + played
                << '\n';
      return 1;
    }
    total += report;
  }
  std::cout << played << " runs from seed " << seed << " in " << elapsed() << " s: " << total.steps
            << " steps, " << total.documents << " documents, " << total.commits << " commits, "
            << total.power_cuts << " power cuts, " << total.kills << " kills, " << total.faults
            << " disk faults, " << total.edge_failures << " calls that failed, " << total.memory_faults
            << " times that memory ran short, " << total.lost_connections << " lost connections, "
            << total.resumes << " resumes, " << total.evictions << " evictions; trace " << std::hex
            << total.trace << '\n';
  return 0;
}
