// tokenize: a document's tokens, and the bytes that each stands for.
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "client/cli/command_line.h"
#include "client/cli/result_writer.h"
#include "client/sources/source.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;

struct TokenizeOptions {
  SharedOptions shared;
  std::string file;
};

void write(const std::vector<Token>& tokens, ResultWriter& writer) {
  for (const Token& token : tokens) {
    writer.write("{\"id\":" + std::to_string(token.id) + ",\"start\":" + std::to_string(token.begin) +
                 ",\"end\":" + std::to_string(token.begin + token.length) + "}");
    writer.end_line();
  }
}

int tokenize(const TokenizeOptions& options) {
  // A vocabulary's file, or what other commands take for a model.
  const auto& given = options.shared.model;
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(given, ignored);
  StreamingTokenizer tokenizer(Vocabulary::load(is_file ? given : model_folder(given)));
  auto source = Source::open(options.file);
  source.begin(0);
  ResultWriter writer(options.shared.out);
  std::vector<Token> tokens;
  for (auto chunk = source.read(kChunkBytes); !chunk.empty(); chunk = source.read(kChunkBytes)) {
    tokenizer.append(chunk, tokens);
    write(tokens, writer);
    tokens.clear();
  }
  tokenizer.finish(tokens);
  write(tokens, writer);
  writer.flush();
  return 0;
}

}  // namespace

void add_tokenize_command(CommandLine& line) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = line.app().add_subcommand("tokenize", "Show a document's tokens as a model reads them");
  command->add_option("FILE", options->file, "The document; - for standard input")->required()->type_name("");
  command
      ->add_option("--model", options->shared.model,
                   "Name or path of a model, or a file tokenizer.json or tokenizer.model")
      ->type_name("PATH");
  add_format_flags(*command, options->shared, "ndjson");
  command->footer("ndjson: one object per token: id; start and end, its bytes in the document.");
  line.on(command, [options] { return tokenize(*options); });
}

}  // namespace unroll
