// daemon_cost: compares the daemon (socket, tokenizer, plugin, journal) with a loop that only runs the model,
// alternating in one run over the same document. Prints the ratio of times with its spread.
#include <algorithm>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/daemon.h"
#include "client/cli/text.h"
#include "model/block_model.h"
#include "tokenizer/tokenizer.h"

namespace unroll::bench {
namespace {

std::vector<std::int32_t> tokens_of(const std::filesystem::path& model, const std::string& text) {
  StreamingTokenizer tokenizer(Vocabulary::load(model));
  std::vector<Token> tokens;
  tokenizer.append(text, tokens);
  tokenizer.finish(tokens);
  std::vector<std::int32_t> ids;
  for (const auto& token : tokens) ids.push_back(token.id);
  return ids;
}

double bare_loop(BlockModel& model, std::span<const std::int32_t> tokens) {
  const auto start = now();
  const auto width = static_cast<std::size_t>(model.info().block_width);
  ModelStatePtr state;
  for (std::size_t begin = 0; begin < tokens.size(); begin += width) {
    const BlockInput block{state, tokens.subspan(begin, std::min(width, tokens.size() - begin)), {}};
    state = model.run({&block, 1}).front().next;
  }
  return now() - start;
}

double through_daemon(DaemonConnection& connection, const std::string& text) {
  const auto start = now();
  const auto opened = connection.call(
      method::kOpen,
      {{"plugins", {{{"name", "score"}, {"options", {{"granularity", "line"}}}}}}, {"text", text}});
  for (;;) {
    const auto message = connection.next();
    if (message.params.at("document") != opened.at("document")) continue;
    if (message.method == notification::kDone) return now() - start;
    if (message.method == notification::kFailed) throw std::runtime_error(message.params.dump());
  }
}

int measure(const std::filesystem::path& folder, std::uint64_t bytes, int rounds) {
  std::string text;
  for (std::uint64_t line = 0; text.size() < bytes; ++line) text += log_line(line);
  const auto tokens = tokens_of(folder, text);
  const auto model = load_block_model(folder, {});
  const TemporaryFolder work;
  const test::Daemon daemon(work.path(), folder);
  auto connection = connect(daemon);
  through_daemon(connection, text.substr(0, 20'000));  // warms both up
  bare_loop(*model, std::span(tokens).first(4096));
  const auto before = connection.call(method::kStats, nlohmann::json::object());
  std::vector<double> ratios;
  double all_served = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto bare = bare_loop(*model, tokens), served = through_daemon(connection, text);
    ratios.push_back(served / bare);
    all_served += served;
    std::cout << "round " << round + 1 << ": bare loop " << fixed(bare, 3) << " s, daemon "
              << fixed(served, 3) << " s, ratio " << fixed(ratios.back(), 4) << std::endl;
  }
  std::ranges::sort(ratios);
  std::cout << tokens.size() << " tokens; the daemon takes "
            << fixed(100 * (ratios[ratios.size() / 2] - 1), 2) << " % more than the bare loop (median of "
            << rounds << ", from " << fixed(100 * (ratios.front() - 1), 2) << " to "
            << fixed(100 * (ratios.back() - 1), 2) << " %)\n";
  const auto after = connection.call(method::kStats, nlohmann::json::object());
  const auto spent = [&](const char* what) {
    return after.at(what).get<double>() - before.at(what).get<double>();
  };
  const auto model_seconds = spent("model_seconds");
  std::cout << "by the daemon's own clock, of the model's time: plugins "
            << fixed(100 * spent("plugin_seconds") / model_seconds, 2) << " %, journal "
            << fixed(100 * spent("journal_seconds") / model_seconds, 2) << " %, everything except the model "
            << fixed(100 * (all_served / model_seconds - 1), 2) << " %\n";
  return 0;
}

}  // namespace
}  // namespace unroll::bench

int main(int argc, char** argv) {
  CLI::App app("The daemon's cost, compared with a loop that only runs the model.");
  std::filesystem::path model = "models/unroll-small";
  std::uint64_t bytes = 200'000;
  int rounds = 7;
  app.add_option("--model", model, "Checkpoint folder")->capture_default_str();
  app.add_option("--bytes", bytes, "Length of the document")->capture_default_str();
  app.add_option("--rounds", rounds, "Measurements of each")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return unroll::bench::measure(model, bytes, rounds);
}
