// text: prints a document's text as the other commands read it.
#include <memory>

#include "client/cli/command_line.h"
#include "client/cli/result_writer.h"
#include "client/documents/open_document.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::ordered_json;

struct TextOptions {
  SharedOptions shared;
  DocumentOptions document;
  std::string file;
};

ordered_json sections_of(const TextMap& map) {
  ordered_json sections = ordered_json::array();
  for (const Section& section : map.sections)
    sections.push_back({{"title", section.title}, {"level", section.level}, {"start", section.start}});
  return sections;
}

/// [text start, text end, member, source start, source end]
ordered_json runs_of(const TextMap& map) {
  ordered_json runs = ordered_json::array();
  for (const SourceRun& run : map.runs)
    runs.push_back({run.text, run.text + run.length, run.member, run.source, run.source + run.source_length});
  return runs;
}

int print_text(const TextOptions& options) {
  constexpr std::size_t kChunk = std::size_t{64} << 10;
  OpenedDocument document = open_document(options.file, options.document);
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line({{"format", document.format.empty() ? "text" : document.format},
                          {"sections", sections_of(document.map)},
                          {"members", document.map.members},
                          {"runs", runs_of(document.map)}}));
    writer.end_line();
  } else {
    for (std::string bytes = document.source.read(kChunk); !bytes.empty();
         bytes = document.source.read(kChunk))
      writer.write(bytes);
  }
  writer.flush();
  return 0;
}

}  // namespace

void add_text_command(CommandLine& line) {
  auto options = std::make_shared<TextOptions>();
  CLI::App* command = line.app().add_subcommand(
      "text", "Print a document's text as the other commands read it: of EPUB, HTML, DOCX, PDF and more");
  command->add_option("FILE", options->file, "The document; - for standard input")->required()->type_name("");
  add_document_flags(*command, options->document);
  add_format_flags(*command, options->shared, "text|json");
  command->footer(
      "With --format json: sections and the map to the source instead of the text.\n\n"
      "Examples:\n  unroll text book.epub | less\n  unroll text book.epub --format json | jq -r "
      "'.sections[].title'");
  line.on(command, [options] { return print_text(*options); });
}

}  // namespace unroll
