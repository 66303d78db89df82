// long_document: documents of a megabyte, a hundred, a thousand through a real daemon each. Prints the
// daemon's peak memory for each, and how even the speed was from beginning to end.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>

#include "bench/daemon.h"
#include "client/text.h"
#include "daemon/unique_fd.h"

namespace unroll::bench {
namespace {

constexpr int kParts = 10;

void write_log(const std::filesystem::path& file, std::uint64_t bytes) {
  std::ofstream out(file, std::ios::binary);
  std::uint64_t written = 0;
  for (std::uint64_t line = 0; written < bytes; ++line) {
    const auto text = log_line(line);
    out << text;
    written += text.size();
  }
}

/// Bytes a second in each tenth of the document.
std::vector<double> read(Connection& connection, const std::filesystem::path& file) {
  const UniqueFd descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const auto total = static_cast<double>(std::filesystem::file_size(file));
  const auto opened = connection.call(
      method::kOpen,
      {{"plugins", {{{"name", "score"}, {"options", nlohmann::json::object()}}}}, {"fd", true}},
      descriptor.get());
  std::vector<double> rates;
  double last_time = now(), last_bytes = 0;
  const auto mark = [&](double bytes) {
    rates.push_back((bytes - last_bytes) / (now() - last_time));
    last_time = now();
    last_bytes = bytes;
  };
  for (;;) {
    const auto message = connection.next();
    if (message.method == notification::kDone) {
      mark(total);
      return rates;
    }
    if (message.method == notification::kFailed) throw std::runtime_error(message.params.dump());
    if (message.method != notification::kProgress) continue;
    const auto bytes = message.params.at("bytes").get<double>();
    if (bytes >= total * static_cast<double>(rates.size() + 1) / kParts) mark(bytes);
  }
}

int measure(std::filesystem::path model, const std::vector<std::uint64_t>& megabytes) {
  const TemporaryFolder work;
  if (model.empty()) {
    model = work / "model";
    test::write_tiny_model(model, 512);
  }
  std::vector<double> peaks;
  for (const auto size : megabytes) {
    write_log(work / "document", size * 1'000'000);
    std::filesystem::create_directory(work / std::to_string(size));
    const test::Daemon daemon(work / std::to_string(size), model);
    auto connection = connect(daemon);
    const auto start = now();
    const auto rates = read(connection, work / "document");
    const auto [slowest, fastest] = std::ranges::minmax(rates);
    peaks.push_back(static_cast<double>(memory_of(daemon.pid(), "VmHWM")));
    std::cout << size << " MB: " << fixed(now() - start, 1) << " s, peak memory "
              << readable_bytes(peaks.back()) << "; by tenths of the document " << readable_bytes(slowest)
              << "/s to " << readable_bytes(fastest) << "/s, the last " << readable_bytes(rates.back())
              << "/s" << std::endl;
  }
  const auto [least, most] = std::ranges::minmax(peaks);
  std::cout << "peaks within " << fixed(100 * (most / least - 1), 2) << " % of one another\n";
  return 0;
}

}  // namespace
}  // namespace unroll::bench

int main(int argc, char** argv) {
  CLI::App app("Peak memory and speed for documents of very different lengths.");
  std::filesystem::path model;
  std::vector<std::uint64_t> megabytes = {1, 100, 1000};
  app.add_option("--model", model, "Checkpoint folder; without it a tiny one");
  app.add_option("--megabytes", megabytes, "Lengths of the documents")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return unroll::bench::measure(model, megabytes);
}
