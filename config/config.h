// config/: the daemon's configuration: one table of keys with type, default, unit and description.
// Defaults, checks, `unrolld --print-config` and docs/configuration.md are derived from it. All functions are
// thread-safe. Errors are Error(kInvalidParams), which names the file and the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace unroll {

inline constexpr std::string_view kSystemSocketPath = "/run/unroll/unroll.sock";

/// One of the models that documents can ask for. In JSON a string, the path alone, or an object.
struct ModelEntry {
  std::string name;             ///< Empty: the path's last part, without .gguf.
  std::string path;             ///< An installed model's name, a checkpoint's folder or a GGUF file.
  std::string settings, dtype;  ///< Empty: model.settings, model.dtype.
  bool operator==(const ModelEntry&) const = default;
};

/// The values of the table's keys. An empty path stands for a default that depends on the machine: see
/// resolve_defaults().
struct Config {
  std::string socket_path;
  std::string socket_mode = "0600";
  std::string socket_group;
  std::string http_listen, http_tokens;

  std::vector<ModelEntry> models;  ///< As resolve_defaults() leaves it: complete, the default first.
  std::string model_directory;
  std::string model_settings;
  std::string device = "auto";
  std::string dtype = "auto";
  std::int64_t threads = 0;
  std::int64_t batch = 0;

  std::string plugin_directory;
  std::string plugins_in_process;
  std::string python = "python3";
  std::int64_t plugin_memory_bytes = std::int64_t{1} << 30;
  std::int64_t plugin_deadline_ms = 10'000;

  std::string journal_path;
  std::int64_t commit_blocks = 16;
  std::int64_t commit_interval_ms = 2'000;
  std::int64_t keep_finished_hours = 24;
  std::int64_t keep_waiting_hours = 24 * 30;

  std::int64_t max_documents = 20'000;
  std::int64_t max_documents_per_user = 10'000;
  std::int64_t max_documents_per_connection = 10'000;
  std::int64_t max_document_bytes = std::int64_t{1} << 40;
  std::int64_t input_buffer_bytes = 256 * 1024;
  std::int64_t max_buffered_bytes = std::int64_t{1} << 30;
  std::int64_t max_buffered_bytes_per_user = std::int64_t{256} << 20;
  std::int64_t max_memory_bytes = std::int64_t{4} << 30;
  std::int64_t max_memory_bytes_per_user = std::int64_t{2} << 30;
  std::int64_t max_journal_bytes_per_user = std::int64_t{32} << 30;
  std::int64_t max_snapshots_per_user = 1000;
  std::int64_t max_model_memory_bytes = 0;
  std::int64_t model_idle_ms = 10 * 60'000;
  std::int64_t max_connections = 512;
  std::int64_t max_connections_per_user = 256;
  std::int64_t max_openings = 128;
  std::int64_t opening_timeout_ms = 30'000;
  std::int64_t max_descriptors_per_user = 1024;
  std::int64_t max_line_bytes_per_user = std::int64_t{64} << 20;
  std::int64_t outgoing_bytes = 4 << 20;
  std::int64_t request_timeout_ms = 30'000;
  std::int64_t idle_timeout_ms = 15 * 60'000;
  std::int64_t source_timeout_ms = 30'000;

  std::int64_t drain_ms = 10'000;
  std::int64_t stall_ms = 30'000;
  std::string log_level = "info";

  bool operator==(const Config&) const = default;
};

struct ConfigKey {
  std::string_view name;  ///< "section.key" (nested objects in JSON), or "key" at the top level.
  std::variant<std::string Config::*, std::int64_t Config::*, std::vector<ModelEntry> Config::*> member;
  std::string_view unit;         ///< Empty if there is none.
  std::string_view description;  ///< One or two sentences, Markdown.
  std::int64_t minimum = 0;      ///< For integers.
  std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string_view> choices = {};  ///< For strings; empty: any.
};

/// The table, in the order of printing.
std::span<const ConfigKey> config_keys();

/// Sets in `config` what `json` contains. An unknown key is an error; it names the nearest known key.
void apply_config(const nlohmann::json& json, Config& config);
/// Applies a file to the defaults; errors name the file.
Config load_config(const std::filesystem::path& file);
/// Sets one value, checked as if it came from a file; for command lines. `name` as in the table.
void set_config_value(std::string_view name, const std::string& value, Config& config);

/// The whole configuration as indented JSON, which load_config() accepts.
std::string print_config(const Config& config);
/// Returns the text of docs/configuration.md.
std::string describe_config();

/// Replaces each empty path with its default: socket, model and journal; a model's name with its path.
/// Completes the list of models: `model.directory`, if it is set or there is no list, comes first. The
/// plugins' folder stays empty: its default is plugins/'s own. Throws if two models have one name.
void resolve_defaults(Config& config);

/// $UNROLL_MODEL, a name or a path, else unroll-small of system_models_folder().
std::filesystem::path default_model_directory();
/// unroll.journal in $STATE_DIRECTORY (systemd's), else in $XDG_STATE_HOME/unroll, else in
/// ~/.local/state/unroll.
std::filesystem::path default_journal_path();
/// The file beside this journal that keeps the measured speeds of arithmetics; empty if the journal is in
/// memory.
std::filesystem::path arithmetic_file(const std::filesystem::path& journal);
/// $XDG_RUNTIME_DIR/unroll/unroll.sock; kSystemSocketPath for root or if the variable is not set.
std::filesystem::path default_socket_path();

}  // namespace unroll
