// long_document: reads documents of 1, 100 and 1,000 MB, each through a new daemon. Prints the daemon's peak
// memory for each, and the speed in each tenth of the document.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sentencepiece_trainer.h>

#include "base/unique_fd.h"
#include "bench/daemon.h"
#include "client/cli/text.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"

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

/// Writes a model so small that a gigabyte takes minutes: random weights, and a vocabulary for this log.
void write_model(const std::filesystem::path& folder, const std::filesystem::path& log) {
  std::filesystem::create_directory(folder);
  const auto trained = sentencepiece::SentencePieceTrainer::Train(
      "--input=" + log.string() + " --model_prefix=" + (folder / "tokenizer").string() +
      " --vocab_size=600 --byte_fallback --bos_id=1 --unk_id=0 --eos_id=2 --add_dummy_prefix=false"
      " --remove_extra_whitespaces=false --normalization_rule_name=identity --input_sentence_size=2000"
      " --num_threads=1 --minloglevel=2");
  if (!trained.ok()) throw std::runtime_error(trained.ToString());
  ModelConfig config;
  config.num_tokens = 600;
  config.dim = 16;
  config.depth = 1;
  config.dim_head = 8;
  config.heads = 1;
  config.block_width = 128;
  config.max_seq_len = 256;
  config.recurrent_layers = config.read_recurrent_layers = {1};
  config.num_state_vectors = 16;
  save_checkpoint(folder, config, random_parameters(config), "fp32");
}

/// Bytes per second in each tenth of the document.
std::vector<double> read(DaemonConnection& connection, const std::filesystem::path& file) {
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
    ::setenv("OMP_NUM_THREADS", "1",
             1);  // waking another thread would take longer than its share of so little work
    model = work / "model";
    write_log(work / "sample", 1'000'000);
    write_model(model, work / "sample");
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
  app.add_option("--model", model, "Checkpoint folder; default: a tiny model");
  app.add_option("--megabytes", megabytes, "Lengths of the documents")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return unroll::bench::measure(model, megabytes);
}
