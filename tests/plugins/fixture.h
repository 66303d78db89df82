// Shared by the plugins' tests: paths of the libraries, documents made by hand, and a plugin's outputs.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/check/synthetic.h"
#include "plugins/host.h"
#include "tests/temporary_folder.h"

namespace unroll::testing {

/// A sanitizer ends a process with its own status and delay.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

namespace fs = std::filesystem;
using nlohmann::json;

inline fs::path test_library(const std::string& name) {
  return fs::path(TEST_PLUGIN_DIRECTORY) / (name + ".so");
}
inline fs::path builtin_library(const std::string& name) {
  return fs::path(BUILTIN_PLUGIN_DIRECTORY) / ("unroll_" + name + ".so");
}

struct MadeToken {
  std::string text;
  float logprob = -1;
  std::vector<float> hidden = {1, 0};
  float word_end = -1;
  std::int32_t rank = 1;
};

/// In blocks of `width` tokens.
inline SyntheticDocument made_document(const std::vector<MadeToken>& tokens, std::size_t width = 3) {
  SyntheticBlock whole;
  whole.dim = 2;
  whole.offsets = {0};
  std::vector<std::size_t> cuts;
  for (const auto& token : tokens) {
    if (whole.length() % width == 0) cuts.push_back(whole.length());
    whole.text += token.text;
    whole.tokens.push_back(0);
    whole.offsets.push_back(whole.text.size());
    whole.logprobs.push_back(token.logprob);
    whole.entropy.push_back(1);
    whole.word_end.push_back(token.word_end);
    whole.ranks.push_back(token.rank);
    whole.hidden.insert(whole.hidden.end(), token.hidden.begin(), token.hidden.end());
  }
  return {std::move(whole), std::move(cuts)};
}

/// A registry with one library, and the outputs of its instances.
struct Loaded {
  explicit Loaded(const fs::path& file) {
    registry.set_log([](int, std::string_view, std::string_view) {});
    registry.load_library(file);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  std::unique_ptr<PluginInstance> create(const std::string& options = "{}") {
    return registry.create(registry.plugins().front().name, options,
                           [this](std::string text) { outputs.push_back(std::move(text)); });
  }
  PluginRegistry registry;
  std::vector<std::string> outputs;
};

inline void process(PluginInstance& instance, const SyntheticDocument& document, std::size_t index) {
  auto block = document.block(index);
  instance.process(block.view());
}
inline void finish(PluginInstance& instance, const SyntheticDocument& document, float word_end = -0.5F) {
  instance.finish(document.whole().length(), document.text().size(), word_end);
}

/// The outputs of a built-in plugin for a document; `resume`: with a new instance for each block.
inline std::vector<json> read(const std::string& builtin, const std::string& options,
                              const SyntheticDocument& document, bool resume = false,
                              float word_end = -0.5F) {
  Loaded plugin(builtin_library(builtin));
  auto instance = plugin.create(options);
  for (std::size_t i = 0; i < document.block_count(); ++i) {
    process(*instance, document, i);
    if (!resume) continue;
    const auto state = instance->save();
    instance = plugin.create(options);
    instance->load(state);
  }
  finish(*instance, document, word_end);
  std::vector<json> parsed;
  for (const auto& output : plugin.outputs) parsed.push_back(json::parse(output));
  return parsed;
}

/// The bytes of the document to which an output refers.
inline std::string shown(const SyntheticDocument& document, const json& passage) {
  const auto start = passage["start"].get<std::size_t>(), end = passage["end"].get<std::size_t>();
  return document.text().substr(start, end - start);
}

}  // namespace unroll::testing
