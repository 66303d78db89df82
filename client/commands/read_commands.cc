// score, summarize: one built-in plugin each, with its own view. run: any plugin, its outputs
// unchanged.
#include <functional>
#include <iostream>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/program_input.h"
#include "client/cli/text.h"
#include "client/commands/score_lines.h"
#include "client/documents/open_document.h"
#include "client/reading/after.h"
#include "client/reading/read_document.h"
#include "client/views/output_lines.h"
#include "client/views/word_view.h"

namespace unroll {
namespace {

using nlohmann::json;

struct ReadOptions {
  SharedOptions shared;
  DocumentOptions document;
  std::string file;
  std::string after;  // a snapshot's name, or a file; empty: nothing
  std::vector<std::string> files;
  std::vector<std::string> plugins;
  std::string granularity;
  std::string word_boundary;  // empty: corrected
  std::string language;       // empty: detected
  bool without_cache = false;
  int top = 10;
  int words = 120;
  bool running = false;
  bool each_line = false;
};

using MakeView = std::function<std::unique_ptr<View>(ResultWriter&, OpenedDocument&)>;

/// Where results go: as they are, or for Parquet as CSV to a program that makes the file of them.
class ResultFile {
 public:
  explicit ResultFile(const SharedOptions& shared) {
    if (shared.format == "parquet") {
      ProgramInput("unroll-parquet", {"--check"}).finish();
      program_ = std::make_unique<ProgramInput>("unroll-parquet", std::vector{shared.out.string()});
    }
    writer_.emplace(program_ ? program_->path() : shared.out);
  }
  ResultWriter& writer() { return *writer_; }
  void finish() {
    writer_->flush();
    writer_.reset();
    if (program_) program_->finish();
  }

 private:
  std::unique_ptr<ProgramInput> program_;
  std::optional<ResultWriter> writer_;
};

/// A text that goes on from another one is read byte for byte.
DocumentOptions document_options(const ReadOptions& options) {
  DocumentOptions document = options.document;
  document.continues = !options.after.empty();
  return document;
}

/// How the document of --after is opened.
Opener opener_of(const ReadOptions& options) {
  const DocumentOptions document = document_options(options);
  const std::string name = "document " + std::to_string(document.raw) + std::to_string(document.keep_layout) +
                           std::to_string(document.unwrap) + document.encoding;
  return {name, [document](const std::string& path) { return open_document(path, document).source; }};
}

int read_one(const ReadOptions& options, std::vector<PluginRequest> plugins, const MakeView& make_view) {
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  OpenedDocument document = open_document(options.file, document_options(options));
  ResultFile output(options.shared);
  const std::unique_ptr<View> view = make_view(output.writer(), document);
  ReadRequest request;
  request.plugins = std::move(plugins);
  request.after = snapshot_after(*reader, options.after, request.plugins, opener_of(options));
  read_document(*reader, document.source, request, output.writer(),
                [&](const std::string&, const json& data) { view->output(with_places(data, document)); });
  output.finish();
  return 0;
}

void add_file(CLI::App& command, ReadOptions& options) {
  command.add_option("FILE", options.file, "The document; - for standard input")->required()->type_name("");
}

CLI::Option* add_count(CLI::App& command, const std::string& name, int& value,
                       const std::string& description) {
  return command.add_option(name, value, description)
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->capture_default_str();
}

int score_lines(const ReadOptions& options, const PluginRequest& plugin) {
  const std::string& format = options.shared.format;
  if (format == "json" || format == "html")
    throw CommandError(
        "--each-line does not print " + format + "; use text or ndjson, or csv, tsv or parquet with words",
        kExitUsage);
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  DocumentOptions lines = document_options(options);
  lines.keep_layout = !lines.raw;
  auto request = request_for(plugin.name, plugin.options);
  request.after = snapshot_after(*reader, options.after, request.plugins, opener_of(options));
  OpenedDocument document = open_document(options.file, lines);
  ResultFile output(options.shared);
  ResultWriter& writer = output.writer();
  if (plugin.name == "words") {
    score_words_of_each_line(*reader, document.source, request, *make_word_view(format, true, writer),
                             writer);
  } else {
    score_each_line(*reader, document.source, request, format, writer);
  }
  output.finish();
  return 0;
}

int score_words(const ReadOptions& options) {
  const std::string& format = options.shared.format;
  if (format == "html")
    throw CommandError("--granularity word does not go with --format html, which shows tokens", kExitUsage);
  if (format == "parquet" && options.shared.out.empty())
    throw CommandError("--format parquet is not for a terminal; name a file with --out FILE", kExitUsage);
  const std::string boundary = options.word_boundary.empty() ? "corrected" : options.word_boundary;
  const PluginRequest plugin{"words", {{"boundary", boundary}}};
  if (options.each_line) return score_lines(options, plugin);
  return read_one(options, {plugin}, [&](ResultWriter& writer, OpenedDocument&) {
    return make_word_view(format, false, writer);
  });
}

int score(ReadOptions& options) {
  const std::string& format = options.shared.format;
  if (options.without_cache) options.shared.settings.push_back("document_cache_tokens=0");
  if (options.granularity == "word") return score_words(options);
  const bool table = format == "csv" || format == "tsv" || format == "parquet";
  for (const auto& [wanted, flag] :
       {std::pair{table, "--format " + format},
        std::pair{!options.word_boundary.empty(), std::string("--word-boundary")}}) {
    if (wanted) throw CommandError(flag + " needs --granularity word", kExitUsage);
  }
  json plugin_options = {{"top", options.top}};
  // Ask only for the outputs that the format needs.
  std::string granularity = options.granularity;
  if (granularity.empty()) granularity = format == "ndjson" && !options.each_line ? "paragraph" : "document";
  if (format == "html") granularity = "document";
  plugin_options["granularity"] = granularity;
  if (!options.language.empty()) plugin_options["language"] = options.language;
  if (options.each_line) return score_lines(options, {"score", plugin_options});
  std::vector<PluginRequest> plugins = {{"score", plugin_options}};
  if (format == "html") plugins.push_back({"logprobs", {{"top", 3}, {"pieces", true}}});
  return read_one(options, plugins, [&](ResultWriter& writer, OpenedDocument& document) {
    if (format == "html") return make_heat_map(writer, document.source, document.map.sections);
    if (format == "text" && granularity != "document") return make_passage_table(writer, document.source);
    return make_score_view(format, writer);
  });
}

void add_score(CommandLine& line) {
  auto options = std::make_shared<ReadOptions>();
  CLI::App* command = line.app().add_subcommand(
      "score", "Score how surprising a document is: bits per byte, perplexity, most surprising passages");
  add_file(*command, *options);
  command->add_option("--granularity", options->granularity, "Also print figures for each part")
      ->type_name("document|paragraph|sentence|line|word|token")
      ->check(one_of({"document", "paragraph", "sentence", "line", "word", "token"}));
  command
      ->add_option("--word-boundary", options->word_boundary,
                   "Whether a word's figures count where it ends (corrected), or its tokens only")
      ->type_name("raw|corrected")
      ->check(one_of({"raw", "corrected"}));
  add_after(*command, options->after);
  add_count(*command, "--top", options->top, "Number of passages to show");
  command->add_flag("--each-line", options->each_line, "Read every line as a document of its own");
  command->add_flag("--without-cache", options->without_cache,
                    "Read with the network alone, which does not expect what the text repeats");
  add_document_flags(*command, options->document);
  add_language_flag(*command, options->language);
  add_format_flags(*command, options->shared, "text|json|ndjson|html|csv|tsv|parquet");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Examples:\n  unroll score book.txt\n  unroll score book.txt --format html --out book.html\n"
      "  zcat book.txt.gz | unroll score - --format json\n"
      "  unroll score chapter2.txt --after chapter1.txt\n"
      "  unroll score stimuli.txt --each-line --granularity word --format csv --out words.csv");
  line.on(command, [options] { return score(*options); });
}

void add_summarize(CommandLine& line) {
  auto options = std::make_shared<ReadOptions>();
  CLI::App* command = line.app().add_subcommand(
      "summarize", "Summarize a document by its most important sentences, in document order");
  add_file(*command, *options);
  add_count(*command, "--words", options->words, "Number of words, approximately");
  add_document_flags(*command, options->document);
  add_language_flag(*command, options->language);
  command->add_flag("--running", options->running,
                    "Also print a summary so far after every 32 KiB (text, ndjson)");
  add_format_flags(*command, options->shared, "text|json|ndjson");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Examples:\n  unroll summarize report.txt --words 80\n"
      "  ssh host cat minutes.txt | unroll summarize - --running");
  line.on(command, [options] {
    json plugin_options = {{"words", options->words}};
    if (!options->language.empty()) plugin_options["language"] = options->language;
    if (options->running) plugin_options["every"] = 32 * 1024;
    return read_one(*options, {{"summarize", plugin_options}}, [&](ResultWriter& writer, OpenedDocument&) {
      return make_summary_view(options->shared.format, writer);
    });
  });
}

int run_plugins(const ReadOptions& options) {
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  ReadRequest request;
  request.plugins = parse_plugin_requests(options.plugins);
  request.after = snapshot_after(*reader, options.after, request.plugins, opener_of(options));
  ResultWriter writer(options.shared.out);
  int exit_code = 0;
  for (const std::string& file : options.files) {
    try {
      OpenedDocument document = open_document(file, document_options(options));
      read_document(*reader, document.source, request, writer,
                    [&](const std::string& plugin, const json& data) {
                      write_output_line(writer, file, plugin, with_places(data, document));
                    });
    } catch (const std::exception& error) {
      if (options.files.size() == 1) throw;
      std::cerr << "unroll: " << one_line(file + ": " + error.what()) << '\n';
      exit_code = kExitFailed;
    }
  }
  writer.flush();
  return exit_code;
}

void add_run(CommandLine& line) {
  auto options = std::make_shared<ReadOptions>();
  CLI::App* command =
      line.app().add_subcommand("run", "Read documents with any plugins and print their outputs");
  add_repeated_option(*command, "--plugin", options->plugins,
                      "Plugin, optionally with options; can be repeated", "NAME[:JSON]")
      ->required();
  command->add_option("FILE", options->files, "The documents; - for standard input")
      ->required()
      ->type_name("");
  add_after(*command, options->after);
  add_document_flags(*command, options->document);
  add_format_flags(*command, options->shared, "ndjson");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Prints one object per output: {\"file\":...,\"plugin\":...,\"data\":...}.\n\n"
      "Example:\n  unroll run --plugin 'score:{\"granularity\":\"line\"}' --plugin embed a.txt b.txt");
  line.on(command, [options] { return run_plugins(*options); });
}

}  // namespace

void add_read_commands(CommandLine& line) {
  add_score(line);
  add_anomaly_command(line);
  add_learn_command(line);
  add_summarize(line);
  add_embed_command(line);
  add_text_command(line);
  add_run(line);
}

}  // namespace unroll
