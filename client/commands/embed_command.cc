// embed: prints a document's vectors or writes them as an index; with --query, finds the segments of indexes
// that are nearest to a text.
#include <map>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/commands/embed_index.h"
#include "client/documents/open_document.h"
#include "client/reading/read_document.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

struct EmbedOptions {
  SharedOptions shared;
  DocumentOptions document;
  std::vector<std::string> files;
  std::string query;
  int segment_tokens = 512;
  int top = 10;
  bool format_given = false;
};

bool is_binary(const std::string& format) {
  return format == "npy" || format == "safetensors" || format == "f32";
}

/// The model without its number type: vectors of different types can be compared.
std::string checkpoint_of(Reader& reader) {
  const std::string model = reader.model();
  return model.substr(0, model.find(','));
}

EmbedIndex embedded_index(Reader& reader, Source& source, int segment_tokens) {
  EmbedIndex index;
  index.model = checkpoint_of(reader);
  EmbedIndexView view(index);
  ResultWriter nothing{fs::path()};  // only to query the terminal
  read_document(reader, source, request_for("embed", {{"segment_tokens", segment_tokens}}), nothing,
                [&](const std::string&, const json& data) { view.output(data); });
  return index;
}

int write_vectors(const EmbedOptions& options) {
  const SharedOptions& shared = options.shared;
  if (options.files.size() != 1)
    throw CommandError("embed reads one document; for a whole folder use 'unroll batch --plugin embed'",
                       kExitUsage);
  if (shared.format == "text")
    throw CommandError("--format text needs --query; formats of vectors: json, ndjson, npy, safetensors, f32",
                       kExitUsage);
  if (is_binary(shared.format) && shared.out.empty())
    throw CommandError("--format " + shared.format + " is not for a terminal; name a file with --out FILE",
                       kExitUsage);
  const std::unique_ptr<Reader> reader = make_reader(shared);
  const std::string& file = options.files.front();
  OpenedDocument document = open_document(file, options.document);
  Source& source = document.source;
  if (is_binary(shared.format)) {
    EmbedIndex index = embedded_index(*reader, source, options.segment_tokens);
    index.file = file == "-" ? source.name() : fs::absolute(file).lexically_normal().string();
    write_embed_index(index, shared.format, shared.out);
    return 0;
  }
  ResultWriter writer(shared.out);
  const std::unique_ptr<View> view = make_embed_view(shared.format, writer);
  read_document(*reader, source, request_for("embed", {{"segment_tokens", options.segment_tokens}}), writer,
                [&](const std::string&, const json& data) { view->output(with_places(data, document)); });
  writer.flush();
  return 0;
}

// --- Searching for segments

std::vector<EmbedIndex> read_indexes(const std::vector<std::string>& files, const std::string& model) {
  std::vector<EmbedIndex> indexes;
  for (const std::string& file : files) {
    EmbedIndex index = read_embed_index(file);
    if (index.model != model) {
      throw CommandError(file + " was made with another model (" + index.model + ", not " + model +
                         "); name that model with --model, or make the index again");
    }
    // The document may have been moved together with its index.
    const fs::path beside = fs::path(file).parent_path() / fs::path(index.file).filename();
    std::error_code ignored;
    if (!fs::exists(index.file, ignored) && fs::exists(beside, ignored)) index.file = beside.string();
    indexes.push_back(std::move(index));
  }
  return indexes;
}

/// Checks the vectors' length: a file may name this model wrongly.
void check_dimensions(const std::vector<EmbedIndex>& indexes, const std::vector<std::string>& files,
                      std::size_t dim) {
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    if (indexes[i].size() > 0 && indexes[i].dim != dim)
      throw CommandError(files[i] + " holds vectors of " + std::to_string(indexes[i].dim) + " numbers, not " +
                         std::to_string(dim) + "; make it again with 'unroll embed'");
  }
}

/// The documents of the segments that were found, each opened once, if they can still be read.
class FoundDocuments {
 public:
  explicit FoundDocuments(const DocumentOptions& options) : options_(options) {}

  /// The segment with its place, and its first words on one line.
  ordered_json describe(const EmbedIndex& index, const EmbedHit& hit) {
    constexpr std::uint64_t kMostBytes = 400;
    constexpr std::size_t kMostColumns = 200;
    const auto start = static_cast<std::uint64_t>(index.offsets[2 * hit.segment]);
    const auto end = static_cast<std::uint64_t>(index.offsets[2 * hit.segment + 1]);
    const json found = {{"file", index.file}, {"start", start}, {"end", end}, {"score", hit.score}};
    const OpenedDocument* document = open(index.file);
    ordered_json described = in_order(document == nullptr ? found : with_places(found, *document),
                                      {"file", "start", "end", "score"});
    if (document == nullptr) return described;
    std::string text = document->source.text(start, std::min(end, start + kMostBytes));
    text.erase(0, text.find_first_not_of(" \t\r\n"));
    if (text = cut(one_line(text), kMostColumns); !text.empty()) described["text"] = text;
    return described;
  }

 private:
  const OpenedDocument* open(const std::string& file) {
    const auto known = documents_.find(file);
    if (known != documents_.end()) return known->second.get();
    auto& document = documents_[file];
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return nullptr;
    try {
      auto opened = std::make_unique<OpenedDocument>(open_document(file, options_));
      opened->source.keep_text();
      document = std::move(opened);
    } catch (const CommandError&) {
      return nullptr;
    }
    return document.get();
  }

  const DocumentOptions& options_;
  std::map<std::string, std::unique_ptr<OpenedDocument>> documents_;
};

void write_found(const ordered_json& found, ResultWriter& writer) {
  const std::string text = found.value("text", "");
  writer.write(
      right(fixed(found["score"].get<double>(), 3), 6) + "  " + one_line(found["file"].get<std::string>()) +
      "  " + with_thousands(found["start"].get<std::uint64_t>()) + " to " +
      with_thousands(found["end"].get<std::uint64_t>()) +
      (found.contains("section") ? "  " + one_line(found["section"].get<std::string>()) : "") + "\n");
  if (!text.empty()) writer.write("        " + cut(text, writer.terminal().width - 8) + "\n");
}

int look_for(const EmbedOptions& options) {
  const std::string format = options.format_given ? options.shared.format : "text";
  if (format != "text" && format != "json")
    throw CommandError("--query prints text or json, not " + format, kExitUsage);
  if (options.query.find_first_not_of(" \t\r\n") == std::string::npos)
    throw CommandError("--query is empty; give it a few words to look for", kExitUsage);
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  const std::vector<EmbedIndex> indexes = read_indexes(options.files, checkpoint_of(*reader));
  Source source = Source::of_text("the query", options.query);
  const EmbedIndex query = embedded_index(*reader, source, options.segment_tokens);
  check_dimensions(indexes, options.files, query.dim);
  ResultWriter writer(options.shared.out);
  ordered_json results = ordered_json::array();
  FoundDocuments documents(options.document);
  for (const EmbedHit& hit :
       nearest_segments(indexes, query.document, static_cast<std::size_t>(options.top))) {
    const ordered_json found = documents.describe(indexes[hit.index], hit);
    if (format == "text") write_found(found, writer);
    results.push_back(found);
  }
  if (format == "json") {
    writer.write(to_line({{"query", options.query}, {"results", results}}));
    writer.end_line();
  }
  writer.flush();
  return 0;
}

}  // namespace

void add_embed_command(CommandLine& line) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command = line.app().add_subcommand(
      "embed", "Compute vectors of a document and its segments; search segments by a few words");
  command->add_option("FILE", options->files, "The document, or - for standard input; with --query: indexes")
      ->required()
      ->type_name("");
  command
      ->add_option("--query", options->query,
                   "Search for these words in indexes written by --format safetensors")
      ->type_name("WORDS");
  command->add_option("--top", options->top, "Number of segments that --query shows")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->capture_default_str();
  command->add_option("--segment-tokens", options->segment_tokens, "Tokens in a segment")
      ->type_name("N")
      ->check(CLI::Range(1, 65'536).description(""))
      ->capture_default_str();
  add_document_flags(*command, options->document);
  add_format_flags(*command, options->shared, "json|ndjson|npy|safetensors|f32|text");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Examples:\n  unroll embed report.txt | jq .vector\n"
      "  unroll embed book.txt --format safetensors --out book.index\n"
      "  unroll embed --query 'the battle of Waterloo' *.index");
  line.on(command, [options, command] {
    options->format_given = command->count("--format") > 0;
    return command->count("--query") > 0 ? look_for(*options) : write_vectors(*options);
  });
}

}  // namespace unroll
