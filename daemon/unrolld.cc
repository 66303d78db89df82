// The daemon's main program: options, model, engine, server.
#include <csignal>
#include <iostream>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/choices.h"
#include "base/descriptor_limit.h"
#include "config/config.h"
#include "daemon/events.h"
#include "daemon/hidden_home.h"
#include "daemon/load_revision.h"
#include "daemon/loading_door.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/socket_file.h"
#include "engine/engine.h"

namespace unroll {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

/// Command-line options for keys of the configuration.
struct Override {
  const char* option;
  const char* key;
  std::string help;
  std::string value = {};
};

struct CommandLine {
  std::string config_file;
  bool print_config = false;
  bool describe_config = false;
  std::vector<Override> overrides = {
      {"--model", "model.directory", "The model: an installed one's name, a folder or a GGUF file"},
      {"--set", "model.settings", "How the model reads: KEY=VALUE, separated by commas"},
      {"--socket", "socket.path", "The Unix socket to listen on"},
      {"--http", "http.listen", "Port, or address and port, for HTTP over TCP; needs --http-tokens"},
      {"--http-tokens", "http.tokens", "The file with the tokens of those who may use HTTP over TCP"},
      {"--journal", "journal.path", "The journal's file; ':memory:' keeps nothing"},
      {"--plugins", "plugins.directory", "Folder whose plugins are loaded"},
      {"--device", "model.device", in_words(kDevices)},
      {"--dtype", "model.dtype", in_words(kDtypes)},
      {"--threads", "model.threads", "Threads of the model; 0: one for each core"},
      {"--drain-ms", "drain_ms", "How long open documents may continue after SIGTERM"},
      {"--log-level", "log_level", "trace, debug, info, warning, error or off"},
  };
};

void add_options(CLI::App& app, CommandLine& line) {
  app.add_option("--config", line.config_file, "Configuration file (JSON)")->type_name("FILE");
  for (Override& entry : line.overrides) app.add_option(entry.option, entry.value, entry.help);
  app.add_flag("--print-config", line.print_config, "Print the configuration in force and exit");
  app.add_flag("--describe-config", line.describe_config,
               "Print every configuration key (Markdown) and exit");
  app.set_version_flag("--version", std::string("unrolld " UNROLL_VERSION));
}

Config read_config(const CommandLine& line) {
  Config config = line.config_file.empty() ? Config{} : load_config(line.config_file);
  for (const Override& entry : line.overrides) {
    if (!entry.value.empty()) set_config_value(entry.key, entry.value, config);
  }
  return config;
}

EngineOptions engine_options(const Config& config, Events& events) {
  EngineOptions options;
  if (config.journal_path != ":memory:") options.journal = config.journal_path;
  options.max_documents = static_cast<std::size_t>(config.max_documents);
  options.max_documents_per_owner = static_cast<std::size_t>(config.max_documents_per_user);
  options.max_document_bytes = static_cast<std::uint64_t>(config.max_document_bytes);
  options.input_buffer_bytes = static_cast<std::size_t>(config.input_buffer_bytes);
  options.max_buffered_bytes = static_cast<std::uint64_t>(config.max_buffered_bytes);
  options.max_buffered_bytes_per_owner = static_cast<std::uint64_t>(config.max_buffered_bytes_per_user);
  options.max_memory_bytes = static_cast<std::uint64_t>(config.max_memory_bytes);
  options.max_memory_bytes_per_owner = static_cast<std::uint64_t>(config.max_memory_bytes_per_user);
  options.max_journal_bytes_per_owner = static_cast<std::uint64_t>(config.max_journal_bytes_per_user);
  options.max_snapshots_per_owner = static_cast<std::size_t>(config.max_snapshots_per_user);
  options.batch = static_cast<std::size_t>(config.batch);
  options.commit_blocks = static_cast<int>(config.commit_blocks);
  options.commit_interval = std::chrono::milliseconds(config.commit_interval_ms);
  options.keep_finished = std::chrono::hours(config.keep_finished_hours);
  options.keep_waiting = std::chrono::hours(config.keep_waiting_hours);
  options.journal_trouble = [&events](const std::string& error) {
    if (error.empty()) return spdlog::info("the journal can be written again");
    events.journal_failed(error);
  };
  return options;
}

void make_journal_folder(const std::filesystem::path& journal) {
  std::error_code error;
  if (journal == ":memory:" || !journal.has_parent_path()) return;
  std::filesystem::create_directories(journal.parent_path(), error);
  if (error) {
    throw Error(ErrorCode::kJournal, "the journal's folder '" + journal.parent_path().string() +
                                         "' cannot be created: " + error.message() +
                                         hidden_home_advice(journal) + "; name another file with --journal");
  }
}

/// The configuration is read again at each reload; only changes to the keys of models and plugins
/// apply.
std::vector<ModelSource> models_again(const CommandLine& line, Events& events) {
  Config config = read_config(line);
  resolve_defaults(config);
  return model_sources(config, events);
}

/// Blocks the signals that stop or reload the daemon until the server handles them.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t held;
    ::sigemptyset(&held);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&held, signal);
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_{};
};

void serve(const CommandLine& line, const Config& config) {
  // Other users must not read the journal.
  ::umask(0077);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on a file's size fails the write, as a full disk does
  raise_descriptor_limit();
  auto held = std::optional<HeldSignals>(std::in_place);  // threads started meanwhile inherit the mask
  // First: errors appear early, and clients can connect during loading.
  auto passed = PassedSockets::take();
  SocketFile socket = SocketFile::open(config, std::move(passed.local));
  auto http = HttpDoor::open(config, std::move(passed.tcp));
  LoadingDoor door(socket.descriptor());
  Events events;
  make_journal_folder(config.journal_path);
  boost::asio::io_context io(1);
  auto models = model_sources(config, events);
  const auto load = [&] {
    spdlog::info("loading the model in {}", config.models.front().path);
    return models.front().load();
  };
  Engine engine(load, engine_options(config, events));  // opens the journal first: its errors appear early
  const ModelInfo info = engine.revision()->model->info();
  spdlog::info("model {}: {} parameters, {}, {}", models.front().name, info.parameters, info.device,
               info.dtype);
  for (std::size_t i = 1; i < models.size(); ++i)
    spdlog::info("model {}: loaded when a document asks for it", models[i].name);
  Server server(io, engine, std::move(models), config, events, std::move(socket),
                [&] { return models_again(line, events); });
  server.adopt(door.close());
  if (http) server.listen_http(*std::move(http));
  held.reset();
  server.run();
  spdlog::info("stopped");
}

int run(int argc, char** argv) {
  CLI::App app("unrolld, the daemon that reads documents of any length", "unrolld");
  CommandLine line;
  add_options(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  try {
    if (line.describe_config) {
      std::cout << describe_config();
      return 0;
    }
    Config config = read_config(line);
    if (line.print_config) {
      std::cout << print_config(config);
      return 0;
    }
    start_log(config.log_level);
    resolve_defaults(config);
    serve(line, config);
    return 0;
  } catch (const std::exception& error) {
    const std::string text = log_text(error.what());
    std::cerr << "unrolld: " << text << '\n';
    ::sd_notifyf(0, "STATUS=%s", text.c_str());
    return kExitFailed;
  }
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  return unroll::run(argc, argv);
}
