// plugin_cost: the cost of running a plugin in a worker instead of in this process, as a share of the model's
// time per block. In one run, each block of a document goes through the model, then to both plugins in turn.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "model/block_model.h"
#include "plugins/host.h"
#include "tokenizer/tokenizer.h"

namespace unroll::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// A block as the engine passes it to plugins, with all optional data.
struct ShownBlock {
  BlockOutput output;
  std::vector<std::int32_t> ids;
  std::vector<std::uint64_t> offsets;
  std::string text;
  std::uint64_t index = 0, first_token = 0;

  template <class Show>
  double time(Show show) {
    std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(ids.size()),
                                      static_cast<std::int64_t>(output.hidden.size() / ids.size())};
    unroll_tensor hidden{output.hidden.data(), 1, 0, 2, 2, 32, 1, shape.data(), nullptr, 0};
    const unroll_block block{sizeof(unroll_block),
                             index,
                             first_token,
                             ids.size(),
                             ids.data(),
                             offsets.data(),
                             output.logprobs.data(),
                             output.entropy.data(),
                             &hidden,
                             text.data(),
                             text.size(),
                             0,
                             nullptr,
                             nullptr,
                             nullptr,
                             nullptr};
    const double begin = now();
    show(block);
    return now() - begin;
  }
};

/// Reads the document's first blocks with the model, and measures the time of each.
std::vector<ShownBlock> read(const std::filesystem::path& folder, const std::string& text, std::size_t blocks,
                             std::vector<double>& seconds) {
  const auto vocabulary = Vocabulary::load(folder);
  StreamingTokenizer tokenizer(vocabulary);
  std::vector<Token> tokens;
  tokenizer.append(text, tokens);
  tokenizer.finish(tokens);
  const auto model = load_block_model(folder, {});
  const auto width = static_cast<std::size_t>(model->info().block_width);
  std::vector<ShownBlock> shown;
  ModelStatePtr state;
  for (std::size_t begin = 0; begin + width <= tokens.size() && shown.size() < blocks; begin += width) {
    ShownBlock& block = shown.emplace_back();
    block.index = shown.size() - 1;
    block.first_token = begin;
    for (std::size_t i = begin; i < begin + width; ++i) {
      block.ids.push_back(tokens[i].id);
      block.offsets.push_back(tokens[i].begin);
    }
    block.offsets.push_back(tokens[begin + width - 1].begin + tokens[begin + width - 1].length);
    block.text = text.substr(block.offsets.front(), block.offsets.back() - block.offsets.front());
    const BlockInput input{state, block.ids, {true, true, 0}};
    const double start = now();
    block.output = std::move(model->run({&input, 1}).front());
    seconds.push_back(now() - start);
    state = block.output.next;
  }
  if (shown.size() < 2) throw std::runtime_error("the document has fewer than 2 blocks; give a longer one");
  return shown;
}

void compare(const PluginInfo& info, const PluginRegistry& here, const PluginRegistry& there,
             std::vector<ShownBlock>& blocks, int rounds, double block_seconds) {
  std::size_t outputs = 0, state_bytes = 0;
  std::vector<double> in_process, in_worker;
  const bool python = here.find(info.name) == nullptr;
  for (int round = 0; round < rounds; ++round) {
    const auto count = [&](const std::string&) { ++outputs; };
    const auto worker = there.create(info.name, "{}", count);
    const auto process = python ? nullptr : here.create(info.name, "{}", count);
    for (auto& block : blocks) {
      if (process) in_process.push_back(block.time([&](const unroll_block& b) { process->process(b); }));
      in_worker.push_back(block.time([&](const unroll_block& b) { worker->process(b); }));
    }
    state_bytes = worker->save().size();
  }
  const double inside = python ? 0 : median(in_process), outside = median(in_worker);
  std::printf("%-12s %10.0f %10.0f %10.2f %12zu\n", info.name.c_str(), 1e6 * inside, 1e6 * outside,
              100 * (outside - inside) / block_seconds, state_bytes);
}

int measure(const std::filesystem::path& folder, const std::filesystem::path& file,
            const std::vector<std::string>& libraries, std::size_t block_count, int rounds) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  std::vector<double> seconds;
  auto blocks = read(folder, text, block_count, seconds);
  const double block_seconds = median(seconds);
  PluginOptions options;
  PluginRegistry here(options);
  options.workers = true;
  const double start = now();
  PluginRegistry there(options);
  for (const auto& error : there.load_directory(default_plugin_directory())) std::cerr << error << '\n';
  std::printf("the built-in plugins' workers were ready after %.1f ms\n", 1e3 * (now() - start));
  here.load_directory(default_plugin_directory());
  for (const auto& library : libraries) {
    if (!library.ends_with(".py")) here.load_library(library);
    there.load_library(library);
  }
  std::printf("a block of %zu tokens: %.2f ms (median of %zu)\n", blocks[0].ids.size(), 1e3 * block_seconds,
              blocks.size());
  std::printf("%-12s %10s %10s %10s %12s\n", "plugin", "here us", "worker us", "more, %", "state bytes");
  for (const auto& info : there.plugins()) compare(info, here, there, blocks, rounds, block_seconds);
  return 0;
}

}  // namespace
}  // namespace unroll::bench

int main(int argc, char** argv) {
  CLI::App app("Cost of plugins in workers, compared with the same plugins in this process");
  std::string model = "models/unroll-small", file;
  std::vector<std::string> libraries;
  std::size_t blocks = 40;
  int rounds = 5;
  app.add_option("--model", model, "The checkpoint's folder");
  app.add_option("--plugin", libraries, "An additional library");
  app.add_option("--blocks", blocks, "Blocks of the document to read");
  app.add_option("--rounds", rounds, "Measurements of each");
  app.add_option("file", file, "The document")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return unroll::bench::measure(model, file, libraries, blocks, rounds);
  } catch (const std::exception& error) {
    std::cerr << "plugin_cost: " << error.what() << '\n';
    return 1;
  }
}
