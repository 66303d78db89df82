// embed: prints a document's vectors, or writes those of documents and folders as an index; with --query,
// finds segments of indexes by a few words.
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include <fcntl.h>

#include "base/ascii.h"
#include "base/unique_fd.h"
#include "client/batch/batch_files.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/documents/open_document.h"
#include "client/reading/read_document.h"
#include "client/search/segment_search.h"

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
  std::string by = "both";
  std::string language;  // empty: detected
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

ReadRequest request_of(const EmbedOptions& options) {
  json plugin_options = {{"segment_tokens", options.segment_tokens}};
  if (!options.language.empty()) plugin_options["language"] = options.language;
  return request_for("embed", plugin_options);
}

/// Of one document.
EmbedIndex embedded_index(Reader& reader, Source& source, const EmbedOptions& options,
                          const std::string& file, const std::string& hash) {
  EmbedIndex index;
  index.model = checkpoint_of(reader);
  EmbedIndexView view(index, file, hash);
  ResultWriter nothing{fs::path()};  // only to query the terminal
  source.keep_text();
  read_document(reader, source, request_of(options), nothing,
                [&](const std::string&, const json& data) { view.output(data); });
  add_terms(index, source);
  return index;
}

/// What makes the vectors of a document others, beside its content and the model.
std::string index_options(const EmbedOptions& options) {
  const DocumentOptions& document = options.document;
  return json{{"segment_tokens", options.segment_tokens},
              {"language", options.language},
              {"raw", document.raw},
              {"keep_layout", document.keep_layout},
              {"unwrap", document.unwrap},
              {"encoding", document.encoding}}
      .dump();
}

/// Makes or updates one index of many documents.
class IndexUpdate {
 public:
  IndexUpdate(const EmbedOptions& options, Reader& reader) : options_(options), reader_(reader) {
    index_.model = checkpoint_of(reader);
    index_.options = index_options(options);
    std::error_code ignored;
    if (!fs::exists(options.shared.out, ignored)) return;
    old_ = read_embed_index(options.shared.out);
    if (old_.model != index_.model || old_.options != index_.options) old_ = {};
    for (std::size_t i = 0; i < old_.documents.size(); ++i) {
      if (!old_.documents[i].hash.empty()) known_[old_.documents[i].file] = i;
    }
  }

  /// A file, "-", or all files of a folder.
  void add(const std::string& argument) {
    std::error_code ignored;
    if (!fs::is_directory(argument, ignored)) return add_file(argument, true);
    for (const BatchFile& file : list_batch_files(argument, options_.shared.out)) {
      const fs::path path = fs::path(argument) / file.path;
      if (fs::weakly_canonical(path, ignored) == fs::weakly_canonical(options_.shared.out, ignored)) continue;
      add_file(path.string(), false);
    }
  }

  /// Returns the exit code.
  int finish() {
    write_embed_index(index_, "safetensors", options_.shared.out);
    if (index_.documents.size() > 1)
      std::cerr << "unroll: " << one_line(options_.shared.out.string()) << ": " << index_.documents.size()
                << " documents, of which " << kept_ << " are unchanged\n";
    return exit_code_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void add_file(const std::string& file, bool alone) {
    try {
      const std::string name =
          file == "-" ? "standard input" : fs::absolute(file).lexically_normal().string();
      if (!added_.insert(name).second) return;
      const std::string hash = file == "-" ? "" : hash_of(file);
      if (const auto known = known_.find(name);
          known != known_.end() && old_.documents[known->second].hash == hash) {
        index_.append(old_, known->second);
        ++kept_;
        return;
      }
      OpenedDocument document = open_document(file, options_.document);
      index_.append(embedded_index(reader_, document.source, options_, name, hash), 0);
      save_sometimes();
    } catch (const std::exception& error) {
      if (alone && options_.files.size() == 1) throw;
      std::cerr << "unroll: " << one_line(file + ": " + error.what()) << '\n';
      exit_code_ = kExitFailed;
    }
  }

  /// Empty if it is not a regular file.
  static std::string hash_of(const std::string& file) {
    std::error_code failed;
    if (!fs::is_regular_file(file, failed)) return {};
    const UniqueFd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const auto size = fs::file_size(file, failed);
    return !opened || failed ? std::string() : content_hash(opened.get(), size, file, [] {});
  }

  /// So that an interruption does not lose hours; the documents that follow may be among the old ones.
  void save_sometimes() {
    constexpr auto kEvery = std::chrono::minutes(1);
    if (Clock::now() - saved_ < kEvery) return;
    EmbedIndex all = index_;
    for (const auto& [file, i] : known_) {
      if (!added_.contains(file)) all.append(old_, i);
    }
    write_embed_index(all, "safetensors", options_.shared.out);
    saved_ = Clock::now();
  }

  const EmbedOptions& options_;
  Reader& reader_;
  EmbedIndex index_, old_;
  std::map<std::string, std::size_t> known_;  ///< Documents of the old index, by file.
  std::set<std::string> added_;
  std::size_t kept_ = 0;
  int exit_code_ = 0;
  Clock::time_point saved_ = Clock::now();
};

int write_vectors(const EmbedOptions& options) {
  const SharedOptions& shared = options.shared;
  std::error_code ignored;
  const bool folder = fs::is_directory(options.files.front(), ignored);
  if (shared.format != "safetensors" && (options.files.size() != 1 || folder))
    throw CommandError(
        "only an index holds several documents; add --format safetensors --out FILE, or use 'unroll batch "
        "--plugin "
        "embed'",
        kExitUsage);
  if (shared.format == "text")
    throw CommandError("--format text needs --query; formats of vectors: json, ndjson, npy, safetensors, f32",
                       kExitUsage);
  if (is_binary(shared.format) && shared.out.empty())
    throw CommandError("--format " + shared.format + " is not for a terminal; name a file with --out FILE",
                       kExitUsage);
  const std::unique_ptr<Reader> reader = make_reader(shared);
  if (shared.format == "safetensors") {
    IndexUpdate update(options, *reader);
    for (const std::string& file : options.files) update.add(file);
    return update.finish();
  }
  const std::string& file = options.files.front();
  OpenedDocument document = open_document(file, options.document);
  if (is_binary(shared.format)) {
    write_embed_index(embedded_index(*reader, document.source, options, file, ""), shared.format, shared.out);
    return 0;
  }
  ResultWriter writer(shared.out);
  const std::unique_ptr<View> view = make_embed_view(shared.format, writer);
  read_document(*reader, document.source, request_of(options), writer,
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
    // Documents may have been moved together with their index.
    for (EmbeddedDocument& document : index.documents) {
      const fs::path beside = fs::path(file).parent_path() / fs::path(document.file).filename();
      std::error_code ignored;
      if (!fs::exists(document.file, ignored) && fs::exists(beside, ignored)) document.file = beside.string();
    }
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
  ordered_json describe(const EmbedIndex& index, const SegmentHit& hit) {
    constexpr std::uint64_t kMostBytes = 400;
    constexpr std::size_t kMostColumns = 200;
    const auto start = static_cast<std::uint64_t>(index.offsets[2 * hit.segment]);
    const auto end = static_cast<std::uint64_t>(index.offsets[2 * hit.segment + 1]);
    const std::string& file = index.document_of(hit.segment).file;
    const json found = {{"file", file},
                        {"start", start},
                        {"end", end},
                        {"score", hit.score},
                        {"similarity", hit.similarity},
                        {"words", hit.words}};
    const OpenedDocument* document = open(file);
    ordered_json described = in_order(document == nullptr ? found : with_places(found, *document),
                                      {"file", "start", "end", "score", "similarity", "words"});
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
  if (ascii::is_blank(options.query))
    throw CommandError("--query is empty; give it a few words to look for", kExitUsage);
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  const std::vector<EmbedIndex> indexes = read_indexes(options.files, checkpoint_of(*reader));
  Source source = Source::of_text("the query", options.query);
  const EmbedIndex query = embedded_index(*reader, source, options, "the query", "");
  check_dimensions(indexes, options.files, query.dim);
  ResultWriter writer(options.shared.out);
  ordered_json results = ordered_json::array();
  FoundDocuments documents(options.document);
  const SearchBy by = options.by == "both"      ? SearchBy::kBoth
                      : options.by == "vectors" ? SearchBy::kVectors
                                                : SearchBy::kWords;
  for (const SegmentHit& hit :
       find_segments(indexes, query.vectors, options.query, by, static_cast<std::size_t>(options.top))) {
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
  command
      ->add_option("FILE", options->files,
                   "The document, or - for standard input; for an index: documents and "
                   "folders; with --query: indexes")
      ->required()
      ->type_name("");
  command
      ->add_option("--query", options->query,
                   "Search for these words in indexes written by --format safetensors")
      ->type_name("WORDS");
  command
      ->add_option(
          "--by", options->by,
          "How --query finds segments: by words (BM25), by vectors, or by words and likeness to the best one")
      ->type_name("both|words|vectors")
      ->check(one_of({"both", "words", "vectors"}))
      ->capture_default_str();
  command->add_option("--top", options->top, "Number of segments that --query shows")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->capture_default_str();
  command
      ->add_option("--segment-tokens", options->segment_tokens,
                   "Most tokens in a segment, which ends with a sentence")
      ->type_name("N")
      ->check(CLI::Range(1, 65'536).description(""))
      ->capture_default_str();
  add_document_flags(*command, options->document);
  add_language_flag(*command, options->language);
  add_format_flags(*command, options->shared, "json|ndjson|npy|safetensors|f32|text");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Examples:\n  unroll embed report.txt | jq .vector\n"
      "  unroll embed books/ --format safetensors --out books.index   # again: reads only what changed\n"
      "  unroll embed --query 'the battle of Waterloo' books.index");
  line.on(command, [options, command] {
    options->format_given = command->count("--format") > 0;
    return command->count("--query") > 0 ? look_for(*options) : write_vectors(*options);
  });
}

}  // namespace unroll
