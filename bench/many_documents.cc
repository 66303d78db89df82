// many_documents: opens thousands of documents at once in one real daemon. Prints its memory, its open files,
// and how evenly documents are scheduled.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/daemon.h"
#include "client/cli/text.h"

namespace unroll::bench {
namespace {

struct Options {
  std::filesystem::path model;
  std::size_t documents = 10'000, connections = 50;
  std::uint64_t bytes = 3'000, report_seconds = 10;
  double stop_seconds = 86'400;
};

std::string text_of(std::size_t document, std::uint64_t bytes) {
  std::string text;
  for (std::uint64_t line = 0; text.size() < bytes; ++line) text += log_line(document * 1'000'003 + line);
  return text;
}

/// The bytes of all documents arrive before most have had a block, so all of them compete.
void open_all(std::vector<DaemonConnection>& connections, const Options& options) {
  for (std::size_t i = 0; i < options.documents; ++i) {
    connections[i % connections.size()].call(
        method::kOpen, {{"plugins", {{{"name", "score"}, {"options", nlohmann::json::object()}}}},
                        {"text", text_of(i, options.bytes)}});
  }
}

/// For the open documents: how many were read from, the least, the most and the mean number of tokens.
struct Shares {
  std::uint64_t open = 0, begun = 0, least = std::numeric_limits<std::uint64_t>::max(), most = 0;
  double mean = 0;
};

Shares shares(DaemonConnection& connection) {
  Shares result;
  const auto listed = connection.call(method::kList, {{"limit", 10'000}});
  std::uint64_t sum = 0;
  for (const auto& document : listed.at("documents")) {
    if (document.at("phase") != "open") continue;
    const auto tokens = document.at("tokens").get<std::uint64_t>();
    ++result.open;
    result.begun += tokens > 0 ? 1 : 0;
    sum += tokens;
    result.least = std::min(result.least, tokens);
    result.most = std::max(result.most, tokens);
  }
  if (result.open > 0) result.mean = static_cast<double>(sum) / static_cast<double>(result.open);
  return result;
}

int measure(Options options) {
  const TemporaryFolder work;
  if (options.model.empty()) {
    ::setenv("OMP_NUM_THREADS", "1",
             1);  // waking another thread would take longer than its share of so little work
    options.model = work / "model";
    test::write_tiny_model(options.model);
  }
  const test::Daemon daemon(work.path(), options.model);
  const auto empty = memory_of(daemon.pid(), "VmRSS");
  std::vector<DaemonConnection> connections;
  for (std::size_t i = 0; i < options.connections; ++i) connections.push_back(connect(daemon));
  auto watcher = connect(daemon);
  const auto start = now();
  open_all(connections, options);
  std::cout << options.documents << " documents of " << options.bytes << " bytes opened in "
            << fixed(now() - start, 1) << " s over " << options.connections << " connections" << std::endl;
  const auto width =
      watcher.call(method::kInfo, nlohmann::json::object())["model"]["block_width"].get<double>();
  double least_share = 1;
  std::uint64_t open = 0, begun = 0;
  for (auto report = now(); now() - start < options.stop_seconds;) {
    const auto share = shares(watcher);
    open = share.open;
    begun = std::max(begun, share.begun);
    if (open == 0) break;
    // While nearly all documents compete; the smallest unit is a block.
    if (10 * open > 9 * options.documents && share.mean > 10 * width) {
      least_share = std::min(least_share, static_cast<double>(share.least) / share.mean);
    }
    if (now() >= report) {
      report = now() + static_cast<double>(options.report_seconds);
      const auto stats = watcher.call(method::kStats, nlohmann::json::object());
      std::cout << fixed(now() - start, 0) << " s: " << open << " open, tokens of each " << share.least
                << " to " << share.most << " (mean " << fixed(share.mean, 0) << "); resident "
                << readable_bytes(static_cast<double>(memory_of(daemon.pid(), "VmRSS"))) << ", states of "
                << stats["documents_in_memory"] << " in memory, " << stats["evictions"] << " evictions, "
                << open_files_of(daemon.pid()) << " open files" << std::endl;
    }
    ::usleep(200'000);
  }
  const auto most = memory_of(daemon.pid(), "VmHWM");
  std::cout << (open == 0 ? "all done in " : "stopped after ") << fixed(now() - start, 1) << " s, when "
            << begun << " had been read from; the daemon's peak memory was "
            << readable_bytes(static_cast<double>(most)) << ", "
            << readable_bytes(static_cast<double>(most - empty) / static_cast<double>(options.documents))
            << " per document; the slowest document's throughput was " << fixed(100 * least_share, 1)
            << " % of the mean\n";
  return 0;
}

}  // namespace
}  // namespace unroll::bench

int main(int argc, char** argv) {
  CLI::App app("Thousands of documents open at once in one daemon.");
  unroll::bench::Options options;
  app.add_option("--model", options.model, "Checkpoint folder; default: a tiny model");
  app.add_option("--documents", options.documents, "Number of documents")->capture_default_str();
  app.add_option("--connections", options.connections, "Number of connections")->capture_default_str();
  app.add_option("--bytes", options.bytes, "Length of each document")->capture_default_str();
  app.add_option("--report", options.report_seconds, "Seconds between lines of the report")
      ->capture_default_str();
  app.add_option("--stop-after", options.stop_seconds, "Stop after this many seconds, whatever is still open")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return unroll::bench::measure(options);
}
