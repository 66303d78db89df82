// snapshot create|list|delete|export|import, append.
#include <algorithm>
#include <ctime>
#include <iostream>
#include <memory>
#include <optional>

#include <unistd.h>

#include "base/atomic_file.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/reading/after.h"
#include "client/reading/connection.h"
#include "client/reading/daemon_snapshots.h"
#include "client/reading/read_document.h"
#include "client/reading/snapshot_cache.h"
#include "client/views/output_lines.h"

namespace unroll {
namespace {

using nlohmann::json;

/// How long the daemon keeps one that is only made to be written to a file, if this process is killed.
constexpr std::chrono::seconds kTemporary{3600};

struct SnapshotOptions {
  SharedOptions shared;
  std::string file, name;
  std::vector<std::string> names, plugins;
  std::filesystem::path path;  // of the snapshot's file
  std::optional<std::int64_t> expires_s;

  std::optional<std::chrono::seconds> expires() const {
    return expires_s ? std::optional(std::chrono::seconds(*expires_s)) : std::nullopt;
  }
};

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  AtomicFile file(path, 0600);
  file.write(bytes);
  file.commit();
}

std::string described(const SnapshotInfo& info) {
  return "'" + one_line(info.name) + "': " + readable_bytes(static_cast<double>(info.bytes)) + " read, " +
         readable_bytes(static_cast<double>(info.kept_bytes)) + " kept";
}

int create(const SnapshotOptions& options) {
  if (options.name.empty() == options.path.empty()) {
    throw CommandError("give one of --name, for a snapshot that the daemon keeps, and --out, for a file",
                       kExitUsage);
  }
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  const bool to_file = !options.path.empty();
  if (!to_file && !reader->keeps_snapshots()) {
    throw CommandError(
        "only a daemon keeps a snapshot by its name, and this process reads; start a daemon (unrolld), or "
        "write a file with --out");
  }
  Source source = Source::open(options.file);
  ReadRequest request;
  request.plugins = parse_plugin_requests(options.plugins);
  request.snapshot =
      to_file ? SnapshotRequest{"for " + options.path.filename().string() + " " + std::to_string(::getpid()),
                                kTemporary}
              : SnapshotRequest{options.name, options.expires()};
  ResultWriter nothing("/dev/null");
  read_document(*reader, source, request, nothing, [](const std::string&, const json&) {});
  if (!to_file) return 0;
  write_file(options.path, reader->export_snapshot(request.snapshot->name));
  reader->delete_snapshot(request.snapshot->name);
  return 0;
}

/// How long it still has.
std::optional<std::chrono::seconds> rest_of(const SnapshotInfo& info) {
  if (!info.expires) return std::nullopt;
  return std::chrono::seconds(std::max<std::int64_t>(1, *info.expires - std::time(nullptr)));
}

/// The snapshot then is of the document's end.
int append(const SnapshotOptions& options) {
  const std::unique_ptr<Reader> reader = make_reader(options.shared);
  const auto known = reader->snapshots();
  const auto found = std::ranges::find(known, options.name, &SnapshotInfo::name);
  if (found == known.end()) {
    throw CommandError("there is no snapshot '" + options.name +
                       "'; make it of the first document with 'unroll snapshot create FILE --name " +
                       options.name + "'");
  }
  Source source = Source::open(options.file);
  ResultWriter writer(options.shared.out);
  ReadRequest request;
  request.plugins = found->plugins;
  request.after = found->name;
  request.snapshot = SnapshotRequest{found->name, rest_of(*found)};
  read_document(*reader, source, request, writer, [&](const std::string& plugin, const json& data) {
    write_output_line(writer, options.file, plugin, data);
  });
  writer.flush();
  return 0;
}

std::string date(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  char text[32] = "";
  if (::localtime_r(&time, &local) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

void write_row(ResultWriter& writer, const std::string& name, std::uint64_t bytes, std::uint64_t kept,
               const std::string& expires, const std::string& model) {
  writer.write(right(bytes == 0 ? "" : readable_bytes(static_cast<double>(bytes)), 11) +
               right(readable_bytes(static_cast<double>(kept)), 11) + "  " + left(expires, 16) + "  " +
               left(one_line(model), 16) + "  " + one_line(name));
  writer.end_line();
}

json cached_to_json(const SnapshotCache::Entry& entry) {
  return {
      {"name", entry.name}, {"key", entry.key}, {"path", entry.path.string()}, {"kept_bytes", entry.bytes}};
}

/// The daemon's, if there is one, then the files that --after has cached.
int list(const SnapshotOptions& options) {
  std::vector<SnapshotInfo> snapshots;
  if (auto daemon = find_daemon(options.shared.socket)) snapshots = list_snapshots(*daemon);
  const auto cached = SnapshotCache().list();
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    json all = snapshots_to_json(snapshots);
    all["cached"] = json::array();
    for (const auto& entry : cached) all["cached"].push_back(cached_to_json(entry));
    writer.write(to_line(all) + "\n");
  } else if (options.shared.format == "ndjson") {
    for (const auto& info : snapshots) writer.write(to_line(snapshot_to_json(info)) + "\n");
    for (const auto& entry : cached) writer.write(to_line(cached_to_json(entry)) + "\n");
  } else {
    writer.write(dim(writer.terminal(), right("read", 11) + right("kept", 11) + "  " + left("expires", 16) +
                                            "  " + left("model", 16) + "  name") +
                 "\n");
    for (const auto& info : snapshots) {
      write_row(writer, info.name, info.bytes, info.kept_bytes, info.expires ? date(*info.expires) : "",
                info.model);
    }
    for (const auto& entry : cached)
      write_row(writer, entry.key + " (cached: " + entry.name + ")", 0, entry.bytes, "", "");
  }
  writer.flush();
  return 0;
}

int remove(const SnapshotOptions& options) {
  for (const auto& name : options.names) {
    if (!SnapshotCache().remove(name))
      require_daemon(options.shared.socket).call(method::kSnapshotDelete, {{"name", name}});
    std::cout << "deleted " << one_line(name) << '\n';
  }
  return 0;
}

int export_one(const SnapshotOptions& options) {
  auto daemon = require_daemon(options.shared.socket);
  write_file(options.path, export_snapshot(daemon, options.name));
  return 0;
}

int import_one(const SnapshotOptions& options) {
  auto daemon = require_daemon(options.shared.socket);
  const auto info = import_snapshot(daemon, read_snapshot_bytes(options.file),
                                    {options.name, options.expires()}, options.shared.model.string());
  std::cout << "snapshot " << described(info) << '\n';
  return 0;
}

void add_expires(CLI::App& command, SnapshotOptions& options) {
  command.add_option("--expires", options.expires_s, "Delete it after this many seconds")
      ->type_name("SECONDS")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{3600} * 24 * 3650).description(""));
}

void add_create(CommandLine& line, CLI::App& parent) {
  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command =
      parent.add_subcommand("create", "Read a document and keep what that leaves, to go on from there");
  command->add_option("FILE", options->file, "The document; - for standard input")->required()->type_name("");
  add_repeated_option(*command, "--plugin", options->plugins,
                      "Plugin whose state to keep, optionally with options; can be repeated", "NAME[:JSON]");
  command->add_option("--name", options->name, "Let the daemon keep it by this name")->type_name("NAME");
  command->add_option("--out", options->path, "Write it to this file")->type_name("FILE");
  add_expires(*command, *options);
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "A document that goes on from it is read as if it followed the one here.\n\n"
      "Examples:\n  unroll snapshot create book.txt --name book\n"
      "  unroll score sequel.txt --after book\n"
      "  unroll snapshot create good.log --plugin anomaly --out good.snapshot\n"
      "  unroll anomaly today.log --after good.snapshot");
  line.on(command, [options] { return create(*options); });
}

void add_append(CommandLine& line) {
  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command = line.app().add_subcommand(
      "append", "Read on from one of the daemon's snapshots, and let it be of the new end");
  command->add_option("SNAPSHOT", options->name, "Its name")->required()->type_name("");
  command->add_option("FILE", options->file, "What follows; - for standard input")->required()->type_name("");
  add_format_flags(*command, options->shared, "ndjson");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Prints one object per output of the snapshot's plugins, as 'unroll run' does. If the command is "
      "interrupted, the snapshot is as before.\n\n"
      "Example:\n  unroll snapshot create monday.log --plugin anomaly --name server\n"
      "  unroll append server tuesday.log | jq 'select(.data.score > 5)'");
  line.on(command, [options] { return append(*options); });
}

CLI::App* add_small(CommandLine& line, CLI::App& parent, const std::string& name, const std::string& help,
                    const std::shared_ptr<SnapshotOptions>& options,
                    const std::function<int(const SnapshotOptions&)>& action) {
  CLI::App* command = parent.add_subcommand(name, help);
  line.on(command, [options, action] { return action(*options); });
  return command;
}

}  // namespace

void add_snapshot_commands(CommandLine& line) {
  CLI::App* snapshot = line.app().add_subcommand(
      "snapshot", "Keep what reading a document leaves, and go on from there (--after)");
  snapshot->require_subcommand(1);
  add_create(line, *snapshot);
  add_append(line);

  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command =
      add_small(line, *snapshot, "list", "List the daemon's snapshots, and those that --after has cached",
                options, list);
  add_format_flags(*command, options->shared, "text|json|ndjson");
  add_socket_flag(*command, options->shared);

  options = std::make_shared<SnapshotOptions>();
  command = add_small(line, *snapshot, "delete",
                      "Delete snapshots; documents that go on from them are not affected", options, remove);
  command->add_option("NAME", options->names, "The daemon's by their names, cached ones by their keys")
      ->required()
      ->type_name("");
  add_socket_flag(*command, options->shared);

  options = std::make_shared<SnapshotOptions>();
  command = add_small(line, *snapshot, "export", "Write one of the daemon's snapshots to a file", options,
                      export_one);
  command->add_option("NAME", options->name, "Its name")->required()->type_name("");
  command->add_option("--out", options->path, "The file")->required()->type_name("FILE");
  add_socket_flag(*command, options->shared);

  options = std::make_shared<SnapshotOptions>();
  command = add_small(line, *snapshot, "import", "Let the daemon keep a snapshot that is a file", options,
                      import_one);
  command->add_option("FILE", options->file, "The file")->required()->type_name("");
  command->add_option("--name", options->name, "Another name than the file says")->type_name("NAME");
  command->add_option("--model", options->shared.model, "The daemon's model to go on with")
      ->type_name("NAME");
  add_expires(*command, *options);
  add_socket_flag(*command, options->shared);
}

}  // namespace unroll
