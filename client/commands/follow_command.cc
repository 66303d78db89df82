// follow: like tail -F, into an endless document that outlives the command.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <ctime>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <unistd.h>

#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/commands/learn_command.h"
#include "client/follow/deliverer.h"
#include "client/follow/follow_memory.h"
#include "client/follow/follow_metrics.h"
#include "client/follow/follow_pump.h"
#include "client/follow/journald_pump.h"
#include "client/follow/kept_text.h"
#include "client/reading/after.h"
#include "client/reading/read_document.h"
#include "client/views/follow_view.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kKeepOutputs = 10'000;      // far more than are pending
constexpr std::chrono::seconds kBetweenRecords{1};  // each is a disk write
constexpr std::size_t kIdDigits = 10;               // so that names sort

struct FollowOptions {
  SharedOptions shared;
  std::string file, after;
  std::vector<std::string> plugins;
  std::vector<std::string> units;
  bool whole_journal = false, from_start = false, from_end = false;
  fs::path journal_directory, state;
  std::string encoding;
  int quiet_ms = 1000;
  double threshold = 5;
  std::optional<double> alert_rate;
  std::vector<std::string> webhooks, commands;
  std::string webhook_format;
  fs::path metrics_file;

  bool reads_journal() const { return whole_journal || !units.empty(); }
};

struct Stopped {};  // thrown to end Reader::read() cleanly

void note(const std::string& text) {
  std::cerr << "unroll: " + one_line(text) + "\n";
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  ::gethostname(name.data(), name.size() - 1);
  return one_line(name.data());
}

/// RFC 3339.
std::string time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string name_of(const FollowOptions& options) {
  if (!options.reads_journal()) return options.file;
  std::string name = "journal";
  for (const std::string& unit : options.units) name += (name == "journal" ? " of " : ", ") + unit;
  return name;
}

/// Everything that identifies the document.
std::string key_of(const FollowOptions& options, const std::vector<PluginRequest>& plugins) {
  json key = {{"units", options.units}, {"journal", options.reads_journal()}};
  if (!options.file.empty()) key["file"] = fs::absolute(options.file).lexically_normal();
  if (!options.journal_directory.empty())
    key["folder"] = fs::absolute(options.journal_directory).lexically_normal();
  if (!options.encoding.empty()) key["encoding"] = options.encoding;
  if (!options.after.empty()) key["after"] = options.after;
  for (const PluginRequest& plugin : plugins) key["plugins"].push_back({plugin.name, plugin.options});
  return key.dump();
}

std::vector<PluginRequest> plugins_of(const FollowOptions& options) {
  std::vector<PluginRequest> plugins = parse_plugin_requests(options.plugins);
  if (plugins.empty()) {
    plugins.push_back({"anomaly", {{"top", 0}}});
    if (options.alert_rate) plugins[0].options["alert_rate"] = *options.alert_rate;
  }
  const bool odd_lines = plugins.size() == 1 && plugins[0].name == "anomaly";
  const bool wants_events =
      !options.webhooks.empty() || !options.commands.empty() || !options.metrics_file.empty();
  if (!odd_lines && wants_events) {
    throw CommandError("--webhook, --exec and --metrics-file are for unusual lines; leave --plugin out",
                       kExitUsage);
  }
  if (!odd_lines && options.shared.format == "text") {
    throw CommandError("--format text works only with the plugin anomaly; add --format ndjson", kExitUsage);
  }
  return plugins;
}

void check(const FollowOptions& options) {
  if (options.file.empty() != options.reads_journal()) {
    throw CommandError("give one thing to follow: FILE, --journal UNIT, or --journal-all", kExitUsage);
  }
  if (options.file == "-")
    throw CommandError("standard input cannot be followed across restarts; give a FILE, or use 'unroll run'",
                       kExitUsage);
  for (const std::string& url : options.webhooks) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      throw CommandError("--webhook takes an address that begins with http:// or https://", kExitUsage);
  }
}

std::vector<DeliveryTarget> targets_of(const FollowOptions& options) {
  std::vector<DeliveryTarget> targets;
  for (const std::string& url : options.webhooks) targets.push_back({url, options.webhook_format, ""});
  for (const std::string& command : options.commands) targets.push_back({"", "", command});
  return targets;
}

/// One run of the command.
class Following {
 public:
  Following(const FollowOptions& options, std::vector<PluginRequest> plugins)
      : options_(options),
        memory_(options.state.empty() ? default_follow_folder() : options.state, name_of(options),
                key_of(options, plugins)),
        before_(memory_.state()),
        kept_(memory_.kept()),
        kept_before_(kept_.end()),
        next_output_(before_.next_output),
        bytes_(before_.bytes) {
    request_.plugins = std::move(plugins);
    if (!before_.document.empty() && before_.pieces.empty()) request_.resume = before_.document;
    request_.from = before_.next_output;
    request_.flush_after = std::chrono::milliseconds(options.quiet_ms);
    request_.keep_outputs = kKeepOutputs;
  }

  int run() {
    // First, because it may begin this program anew.
    const std::unique_ptr<Reader> reader = make_reader(options_.shared, memory_.journal());
    if (!before_.pieces.empty()) go_on_after_earlier_version();
    for (const DeliveryTarget& target : targets_of(options_))
      deliverers_.push_back(std::make_unique<Deliverer>(memory_.spool(), target));
    FollowViewOptions shown{
        options_.shared.format, name_of(options_), options_.threshold, options_.alert_rate.has_value(), {}};
    if (!options_.metrics_file.empty()) metrics_.emplace(options_.metrics_file, name_of(options_));
    if (metrics_ || !deliverers_.empty()) shown.event = [this](json event) { take(std::move(event)); };
    FollowView view(std::move(shown), kept_, before_.printed);
    try {
      if (!read(*reader, view)) read(*reader, view);
    } catch (const Stopped&) {
    }
    record(view);
    return 0;
  }

 private:
  /// False if the document cannot go on; then the next call begins a new one.
  bool read(Reader& reader, FollowView& view) {
    const bool begins = !request_.resume || !reader.has_document(*request_.resume);
    if (begins) {
      request_.after =
          snapshot_after(reader, options_.after, request_.plugins, log_opener(options_.encoding));
    }
    Source source = Source::pumped(name_of(options_), make_pump());
    try {
      reader.read(source, request_, events(view));
      return true;
    } catch (const DocumentLost&) {
      if (!request_.resume) throw;
    } catch (const Error& error) {  // other bytes than those that were read before
      if (!request_.resume || error.code != ErrorCode::kSource) throw;
    }
    note(name_of(options_) +
         " no longer has bytes that the engine needs to continue the document; a new one begins");
    request_.resume.reset();
    return false;
  }

  std::unique_ptr<FollowedPump> make_pump() {
    if (!options_.reads_journal())
      return std::make_unique<FollowPump>(FollowedFile{options_.file, options_.encoding, options_.from_end},
                                          kept_, note);
    return std::make_unique<JournaldPump>(JournaldOptions{options_.units, options_.journal_directory},
                                          options_.from_end, kept_, note);
  }

  /// Earlier versions kept no text.
  void go_on_after_earlier_version() {
    note(name_of(options_) +
         " was followed by an earlier version of unroll; a new document begins at the same position");
    if (kept_.place().is_null()) kept_.add("", place_of_earlier_version());
  }

  /// Earlier versions recorded from which byte of a source on the document was read.
  json place_of_earlier_version() const {
    const json& piece = before_.pieces.back();
    if (options_.reads_journal()) return {{"cursor", piece.at("cursor")}};
    const auto within = static_cast<std::int64_t>(before_.bytes) - piece.at("document").get<std::int64_t>();
    FilePlace place;
    piece.at("file").get_to(place.now.file);
    place.now.offset = piece.at("offset").get<std::uint64_t>() +
                       static_cast<std::uint64_t>(std::max<std::int64_t>(within, 0));
    return place;
  }

  ReadEvents events(FollowView& view) {
    ReadEvents events;
    events.opened = [&](const DocumentId& id) { opened(id); };
    events.output = [&](std::uint64_t sequence, const std::string& plugin, const json& data) {
      next_output_ = sequence;
      view.output(plugin, data);
      if (metrics_ && data.contains("line")) metrics_->count_line();
      ++next_output_;
      changed_ = true;
      record_if_due(view);
    };
    events.progress = [&](const ReadProgress& progress) {
      bytes_ = progress.bytes;
      view.flush();
      record_if_due(view);
      for (const auto& deliverer : deliverers_) deliverer->beat();
      if (stop_signal() != 0) throw Stopped();
    };
    events.note = note;
    return events;
  }

  /// The event of output next_output_. After a crash, the same output gives the same id.
  void take(json event) {
    if (metrics_) metrics_->count_event(event["severity"]);
    std::string number = std::to_string(next_output_);
    number.insert(0, kIdDigits - std::min(kIdDigits, number.size()), '0');
    event["id"] = document_ + "-" + number;
    event["source"] = name_of(options_);
    event["host"] = host_name();
    event["seen"] = time_now();
    for (const auto& deliverer : deliverers_) deliverer->put(event["id"], event);
  }

  void opened(const DocumentId& id) {
    if (id == document_) return;  // resumed after the daemon returned
    document_ = id;
    if (id == before_.document) return;
    if (request_.resume) note("the document is no longer known; a new one begins at the same position");
    // The state first: after a kill between the two, lines are read twice instead of not at all.
    memory_.update([&](FollowState& state) {
      state.document = id;
      state.pieces = nullptr;
      state.next_output = state.bytes = 0;
    });
    if (!kept_.place().is_null()) kept_.begin_document_at(std::min(bytes_, kept_before_));
    next_output_ = bytes_ = 0;
  }

  void record_if_due(FollowView& view) {
    if (changed_ && Clock::now() - recorded_ > kBetweenRecords) record(view);
  }

  void record(FollowView& view) {
    recorded_ = Clock::now();
    const json printed = view.record();
    if (metrics_) metrics_->write();
    changed_ = false;
    memory_.update([&](FollowState& state) {
      state.next_output = next_output_;
      state.bytes = bytes_;
      state.printed = printed;
    });
  }

  const FollowOptions& options_;
  FollowMemory memory_;
  const FollowState before_;
  KeptText kept_;
  const std::uint64_t kept_before_;  ///< The document's bytes that were kept by earlier runs end there.
  ReadRequest request_;
  DocumentId document_;
  std::vector<std::unique_ptr<Deliverer>> deliverers_;
  std::optional<FollowMetrics> metrics_;
  std::uint64_t next_output_, bytes_;
  bool changed_ = false;
  Clock::time_point recorded_;
};

void add_what(CLI::App& command, FollowOptions& options) {
  command.add_option("FILE", options.file, "The growing file; it need not exist yet")->type_name("");
  add_repeated_option(command, "--journal", options.units,
                      "Follow a unit's entries in systemd's journal instead; can be repeated", "UNIT");
  command.add_flag("--journal-all", options.whole_journal, "Follow the whole journal instead");
  command
      .add_option("--journal-directory", options.journal_directory,
                  "Read the journal in this folder instead of this machine's")
      ->type_name("DIR");
  add_encoding(command, options.encoding);
  command.add_flag("--from-start", options.from_start,
                   "On the first run, read what is there already (the default)");
  command.add_flag("--from-end", options.from_end, "On the first run, read only new lines")
      ->excludes("--from-start");
}

void add_deliveries(CLI::App& command, FollowOptions& options) {
  add_repeated_option(command, "--webhook", options.webhooks,
                      "POST each unusual line (--threshold, --alert-rate) to this address; can be repeated",
                      "URL");
  command.add_option("--webhook-format", options.webhook_format, "json, or alertmanager for its API v2")
      ->type_name("json|alertmanager")
      ->check(one_of({"json", "alertmanager"}))
      ->default_val("json");
  add_repeated_option(command, "--exec", options.commands,
                      "Run this command with /bin/sh for each unusual line; can be repeated", "COMMAND");
  command
      .add_option("--metrics-file", options.metrics_file,
                  "Write counters of lines and unusual lines to this file, for Prometheus")
      ->type_name("FILE");
}

void add_how(CLI::App& command, FollowOptions& options) {
  add_repeated_option(command, "--plugin", options.plugins,
                      "Plugin, optionally with options (default: anomaly); can be repeated", "NAME[:JSON]");
  command.add_option("--threshold", options.threshold, "Lowest score of a line that is shown (text)")
      ->type_name("SCORE")
      ->capture_default_str();
  add_after(command, options.after);
  add_alert_rate(command, options.alert_rate);
  command.get_option("--alert-rate")
      ->description("Show alerts instead: about this many lines per 1,000, 0.01 to 500")
      ->excludes("--threshold")
      ->excludes("--plugin");
  command
      .add_option("--quiet-ms", options.quiet_ms,
                  "Read an incomplete block after this many milliseconds without new bytes")
      ->type_name("N")
      ->check(CLI::Range(1, 3'600'000).description(""))
      ->capture_default_str();
  command
      .add_option("--state", options.state,
                  "Folder that records how far the log was read (default: ~/.local/state/unroll/follow)")
      ->type_name("DIR");
}

}  // namespace

void add_follow_command(CommandLine& line) {
  auto options = std::make_shared<FollowOptions>();
  CLI::App* command =
      line.app().add_subcommand("follow", "Follow a growing log, across rotation and restarts");
  add_what(*command, *options);
  add_how(*command, *options);
  add_deliveries(*command, *options);
  command->add_option("--format", options->shared.format, "Output format")
      ->type_name("text|ndjson")
      ->check(one_of({"text", "ndjson"}))
      ->default_val("text");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Prints unusual lines as they are written: line, score, text. With --format ndjson: one object per "
      "output, as 'unroll run' prints it. SIGINT or SIGTERM ends it; the next run continues there.\n\n"
      "Each output is printed once. After a crash, outputs of the last second may be printed twice, unless "
      "standard output is a regular file.\n\n"
      "Examples:\n  unroll follow /var/log/syslog\n  unroll follow app.log --after yesterday.log\n  unroll "
      "follow --journal ssh --alert-rate 1\n  unroll follow app.log --webhook https://alerts.example/unroll\n"
      "  unroll follow app.log --plugin score --format ndjson >> scores.ndjson");
  line.on(command, [options] {
    check(*options);
    std::vector<PluginRequest> plugins = plugins_of(*options);
    stop_at_signals();
    return Following(*options, std::move(plugins)).run();
  });
}

}  // namespace unroll
