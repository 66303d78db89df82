#include "client/reading/reader.h"

#include <iostream>

#include "client/cli/command_error.h"
#include "client/reading/connection.h"

namespace unroll {
namespace {

/// Whether the options need a model in this process.
bool asks_for_own_model(const SharedOptions& options) {
  return !options.model.empty() || !options.device.empty() || !options.dtype.empty() ||
         !options.settings.empty();
}

/// The daemon has its own model: if another one is asked for, this is an error, so that the wrong model is
/// not used.
void check_daemon_model(DaemonConnection& connection, const SharedOptions& options) {
  if (!asks_for_own_model(options)) return;
  const nlohmann::json info = connection.call(method::kInfo, nlohmann::json::object());
  const nlohmann::json model = info.value("model", nlohmann::json::object());
  const auto check = [&](const std::string& flag, const std::string& wanted, const std::string& key) {
    const std::string has = model.value(key, "");
    if (wanted.empty() || wanted == "auto" || wanted == has) return;
    throw CommandError("the daemon on " + connection.socket().string() + " reads with " + key + " '" + has +
                       "', not '" + wanted + "'; leave " + flag +
                       " out, or read in this process with --embedded");
  };
  const std::filesystem::path folder =
      options.model / "";  // so that "a/b" and "a/b/" have the same file name
  check("--model", options.model.empty() ? "" : folder.parent_path().filename().string(), "name");
  if (!options.settings.empty())
    throw CommandError("the daemon on " + connection.socket().string() +
                       " has its own settings; leave --set out, or read in this process with --embedded");
  check("--device", options.device, "device");
  check("--dtype", options.dtype, "dtype");
}

}  // namespace

std::string model_text(const std::string& checkpoint, const std::string& dtype) {
  return checkpoint + ", " + dtype;
}

std::unique_ptr<Reader> make_reader(const SharedOptions& options, const std::filesystem::path& journal) {
  const bool look_for_daemon = !options.socket.empty() || !asks_for_own_model(options);
  if (!options.embedded && look_for_daemon) {
    if (auto connection = find_daemon(options.socket)) {
      check_daemon_model(*connection, options);
      if (options.verbose)
        std::cerr << "unroll: reading with the daemon on " << connection->socket().string() << '\n';
      return make_socket_reader(std::move(*connection));
    }
  }
  return options.embedded_reader(options, journal);
}

}  // namespace unroll
