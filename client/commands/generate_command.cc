// generate: continues a document.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/stop_signals.h"
#include "base/utf8_stream.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/progress.h"
#include "client/commands/sampler.h"
#include "client/reading/after.h"
#include "client/reading/connection.h"
#include "client/reading/daemon_snapshots.h"
#include "client/sources/source.h"
#include "client/views/view.h"
#include "model/continuation.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;

struct GenerateOptions {
  SharedOptions shared;
  std::string file, prompt, after;
  std::uint64_t tokens = 256;
  SamplerOptions sampler;
  bool without_cache = false;
};

/// The text to continue: what --after names, the file, then the prompt.
class Beginning {
 public:
  Beginning(Continuation& continuation, std::shared_ptr<const Vocabulary> vocabulary)
      : continuation_(continuation), vocabulary_(std::move(vocabulary)), tokenizer_(vocabulary_) {}

  /// First, if at all.
  void go_on(const BytesBefore& before) {
    continuation_.restore(before.state, before.checkpoint);
    tokenizer_ = StreamingTokenizer(vocabulary_, before.segment_begin);
    block_begin_ = before.block_begin;
    read(before.tail);
  }

  void read(Source& source) {
    Progress progress(source.name());
    source.begin(0);
    std::uint64_t bytes = 0;
    for (auto chunk = source.read(kChunkBytes); !chunk.empty(); chunk = source.read(kChunkBytes)) {
      read(chunk);
      bytes += chunk.size();
      progress.update({bytes, source.total_bytes(), tokens_, 0});
    }
  }
  void read(std::string_view text) {
    std::vector<Token> tokens;
    tokenizer_.append(text, tokens);
    take(tokens);
  }
  void finish() {
    std::vector<Token> tokens;
    tokenizer_.finish(tokens);
    take(tokens);
  }

 private:
  void take(const std::vector<Token>& tokens) {
    std::vector<std::int32_t> ids;
    for (const Token& token : tokens) {
      if (token.begin >= block_begin_) ids.push_back(token.id);  // the others are in the state
    }
    continuation_.read(ids);
    tokens_ += ids.size();
  }

  Continuation& continuation_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  StreamingTokenizer tokenizer_;
  std::uint64_t block_begin_ = 0;
  std::uint64_t tokens_ = 0;
};

/// Removes characters that could move the terminal's cursor.
std::string for_terminal(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
    safe += control ? '?' : c;
  }
  return safe;
}

bool ends_text(const Vocabulary& vocabulary, std::int32_t id) {
  return std::ranges::find(vocabulary.ends(), id) != vocabulary.ends().end();
}

/// Tokens without bytes (begin of document, ...) are never drawn, except those that end the text.
std::vector<std::int32_t> silent_tokens(const Vocabulary& vocabulary) {
  std::vector<std::int32_t> silent;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.bytes(id).empty() && !ends_text(vocabulary, id)) silent.push_back(id);
  }
  return silent;
}

void write_on(const GenerateOptions& options, Continuation& continuation, const Vocabulary& vocabulary,
              ResultWriter& writer) {
  const auto silent = silent_tokens(vocabulary);
  Sampler sampler(options.sampler);
  Utf8Stream utf8;
  const bool lines = options.shared.format == "ndjson";
  for (std::uint64_t i = 0; (options.tokens == 0 || i < options.tokens) && stop_signal() == 0; ++i) {
    const auto distribution = continuation.next();
    std::vector<float> logprobs(distribution.begin(), distribution.end());
    for (const auto id : silent)
      logprobs[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
    // A model may have more tokens than its vocabulary.
    const auto known = std::min(logprobs.size(), static_cast<std::size_t>(vocabulary.size()));
    std::fill(logprobs.begin() + static_cast<std::ptrdiff_t>(known), logprobs.end(),
              -std::numeric_limits<float>::infinity());
    const auto id = sampler.draw(logprobs);
    if (ends_text(vocabulary, id)) break;
    const auto text = utf8.append(vocabulary.bytes(id));
    if (lines) {
      writer.write(
          to_line({{"token", id}, {"text", text}, {"logprob", logprobs[static_cast<std::size_t>(id)]}}));
      writer.write("\n");
    } else {
      writer.write(writer.terminal().present ? for_terminal(text) : text);
    }
    writer.flush();
    continuation.read({&id, 1});
  }
  if (!lines && writer.terminal().present) writer.write("\n");
  writer.flush();
}

/// The snapshot that --after names, by its file or its name; nullopt if it names a document, or nothing.
std::optional<BytesBefore> snapshot_before(const GenerateOptions& options) {
  const auto& after = options.after;
  if (after.empty()) return std::nullopt;
  std::error_code failed;
  if (std::filesystem::exists(after, failed)) {
    if (!is_snapshot_file(after)) return std::nullopt;
    return bytes_before(read_snapshot_bytes(after));
  }
  auto daemon = find_daemon(options.shared.socket);
  if (!daemon)
    throw CommandError("there is no file '" + after +
                       "', and no daemon that could have a snapshot of this name");
  return bytes_before(export_snapshot(*daemon, after));
}

int generate(const GenerateOptions& options) {
  const auto snapshot = snapshot_before(options);
  const auto folder = model_folder(options.shared.model);
  const auto vocabulary = Vocabulary::load(folder);
  auto model = model_options(options.shared);
  model.first_input = vocabulary->first_input();
  if (snapshot) {
    if (model.dtype != "auto" && model.dtype != "fp32")
      throw CommandError("after a snapshot, 'unroll generate' computes in fp32; leave out --dtype",
                         kExitUsage);
    model.dtype = "fp32";
  }
  Continuation continuation(folder, model, !options.without_cache);
  ResultWriter writer(options.shared.out);
  Beginning beginning(continuation, vocabulary);
  if (snapshot) {
    try {
      beginning.go_on(*snapshot);
    } catch (const std::runtime_error& error) {
      const auto made = snapshot->model.empty() ? "" : ", made with model '" + snapshot->model + "'";
      throw CommandError("snapshot '" + options.after + "'" + made + ": " + error.what());
    }
  }
  for (const auto& file : {snapshot ? "" : options.after, options.file}) {
    if (file.empty()) continue;
    auto source = Source::open(file);
    beginning.read(source);
  }
  beginning.read(options.prompt);
  beginning.finish();
  stop_at_signals();
  write_on(options, continuation, *vocabulary, writer);
  return 0;
}

}  // namespace

void add_generate_command(CommandLine& line) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = line.app().add_subcommand("generate", "Continue a text");
  command
      ->add_option("FILE", options->file,
                   "The document, or - for standard input; without it, a new text begins")
      ->type_name("");
  command
      ->add_option("--after", options->after,
                   "What comes before FILE: a document, or a snapshot, by its name or file")
      ->type_name("FILE");
  command->add_option("--prompt", options->prompt, "Text after the document, or instead of one")
      ->type_name("TEXT");
  command
      ->add_option("--tokens", options->tokens,
                   "Most tokens to write, if the model does not end the text before; 0: no limit")
      ->type_name("N")
      ->capture_default_str();
  SamplerOptions& sampler = options->sampler;
  command
      ->add_option("--temperature", sampler.temperature,
                   "Below 1, likely tokens become likelier; 0: always the most probable token")
      ->type_name("T")
      ->check(CLI::Range(0.0, 100.0).description(""))
      ->capture_default_str();
  command->add_option("--top-k", sampler.top_k, "Draw from the K most probable tokens; 0: from all")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber.description(""))
      ->capture_default_str();
  command->add_option("--top-p", sampler.top_p, "Draw from the most probable tokens that together have P")
      ->type_name("P")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->capture_default_str();
  command->add_option("--seed", sampler.seed, "Random seed: the same seed gives the same text")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--without-cache", options->without_cache,
                    "Draw from the network alone, which repeats less of the earlier text");
  add_format_flags(*command, options->shared, "text|ndjson");
  add_model_flags(*command, options->shared);
  add_socket_flag(*command, options->shared);
  command->footer(
      "Writes each token as it comes, in UTF-8, without the document itself. Ctrl-C ends it.\n"
      "ndjson: one object per token: token, text, logprob (nats, as 'unroll eval' scores it).");
  line.on(command, [options] { return generate(*options); });
}

}  // namespace unroll
