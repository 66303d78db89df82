// batch: every file of a folder, one after another. A result is written under another name and renamed when
// it is complete, so what is there is done, and a batch that was interrupted goes on where it stopped.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>

#include "client/command_error.h"
#include "client/command_line.h"
#include "client/output_lines.h"
#include "client/read_document.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".ndjson";
constexpr const char* kUnfinished = ".part";

struct BatchOptions {
  SharedOptions shared;
  fs::path folder, out;
  std::vector<std::string> plugins = {"score"};
};

struct BatchCounts {
  std::size_t done = 0, skipped = 0, failed = 0;
};

/// Regular files below the folder, in order of path, without what lies in `out`.
std::vector<fs::path> files_of(const fs::path& folder, const fs::path& out) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw CommandError(folder.string() + " is not a folder; 'unroll run' reads single files");
  }
  const fs::path results = fs::weakly_canonical(out, failed);
  std::vector<fs::path> files;
  fs::recursive_directory_iterator walk(folder, failed);
  for (; !failed && walk != fs::recursive_directory_iterator(); walk.increment(failed)) {
    std::error_code ignored;
    if (walk->is_directory(ignored) && fs::weakly_canonical(walk->path(), ignored) == results) {
      walk.disable_recursion_pending();
    } else if (walk->is_regular_file(ignored)) {
      files.push_back(walk->path());
    }
  }
  if (failed) throw CommandError("cannot list " + folder.string() + ": " + failed.message());
  std::sort(files.begin(), files.end());
  return files;
}

void read_to_file(Reader& reader, const fs::path& file, const std::vector<PluginRequest>& plugins,
                  const fs::path& result) {
  fs::path unfinished = result;
  unfinished += kUnfinished;
  fs::create_directories(result.parent_path());
  Source source = Source::open(file.string());
  ResultWriter writer(unfinished);
  read_document(reader, source, plugins, writer, [&](const std::string& plugin, const nlohmann::json& data) {
    write_output_line(writer, "", plugin, data);
  });
  writer.flush();
  fs::rename(unfinished, result);
}

int batch(const BatchOptions& options) {
  std::vector<PluginRequest> plugins;
  for (const std::string& text : options.plugins) plugins.push_back(parse_plugin_request(text));
  const std::vector<fs::path> files = files_of(options.folder, options.out);
  std::error_code failed;
  fs::create_directories(options.out, failed);
  if (failed) {
    throw CommandError("cannot make the folder " + options.out.string() + ": " + failed.message() +
                       "; name one that you may write to with --out");
  }
  std::unique_ptr<Reader> reader;
  BatchCounts counts;
  for (const fs::path& file : files) {
    fs::path result = options.out / fs::relative(file, options.folder);
    result += kSuffix;
    if (fs::exists(result)) {
      ++counts.skipped;
      continue;
    }
    if (!reader) reader = make_reader(options.shared);
    try {
      read_to_file(*reader, file, plugins, result);
      ++counts.done;
    } catch (const std::exception& error) {
      std::cerr << "unroll: " << file.string() << ": " << error.what() << '\n';
      ++counts.failed;
    }
  }
  std::cout << counts.done << " read, " << counts.skipped << " had results already, " << counts.failed
            << " failed\n";
  return counts.failed == 0 ? 0 : kExitFailed;
}

}  // namespace

void add_batch_command(CommandLine& line) {
  auto options = std::make_shared<BatchOptions>();
  CLI::App* command = line.app().add_subcommand(
      "batch", "Read every file of a folder; skips those that have their results already");
  command->add_option("DIR", options->folder, "The documents' folder, with all below it")
      ->required()
      ->type_name("");
  command->add_option("--out", options->out, "Folder of the results: one FILE.ndjson for each FILE")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--plugin", options->plugins,
                   "A plugin, with options or without; may be given several times")
      ->expected(1)
      ->allow_extra_args(false)  // What follows is the next argument.
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME[:JSON]")
      ->default_str("score");
  add_reader_flags(*command, options->shared);
  command->footer(
      "Example:\n  unroll batch books --out scores\n\n"
      "Run it again after an interruption: what is complete is not read again.");
  line.on(command, [options] { return batch(*options); });
}

}  // namespace unroll
