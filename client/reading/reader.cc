#include "client/reading/reader.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <vector>

#include "client/cli/command_error.h"
#include "client/reading/connection.h"

namespace unroll {
namespace {

using nlohmann::json;

/// A name, not a path: the daemon may have a model that is called that.
bool is_name(const std::filesystem::path& model) {
  return !model.empty() && !model.has_parent_path();
}

/// Whether the options need a model in this process.
bool asks_for_own_model(const SharedOptions& options) {
  return (!options.model.empty() && !is_name(options.model)) || !options.device.empty() ||
         !options.dtype.empty() || !options.settings.empty();
}

/// The names of the daemon's models, the first first.
std::vector<std::string> names_of_models(const json& info) {
  std::vector<std::string> names;
  for (const json& model : info.value("models", json::array())) names.push_back(model.value("name", ""));
  if (names.empty()) names.push_back(info.value("model", json::object()).value("name", ""));
  return names;
}

/// The daemon's model that the options ask for; empty: its first. Nullopt: it has none of that name. Whatever
/// else
/// --socket comes with must be what that model has: the wrong model must not be used.
std::optional<std::string> daemon_model(DaemonConnection& connection, const SharedOptions& options) {
  if (options.model.empty() && !asks_for_own_model(options)) return "";
  const json info = connection.call(method::kInfo, json::object());
  const auto names = names_of_models(info);
  // So that "a/b" and "a/b/" have the same file name.
  const std::string wanted =
      options.model.empty() ? "" : (options.model / "").parent_path().filename().string();
  const std::string daemon = "the daemon on " + connection.socket().string();
  const std::string advice = " out, or read in this process with --embedded";
  if (!wanted.empty() && std::ranges::find(names, wanted) == names.end()) {
    if (options.socket.empty()) return std::nullopt;
    std::string known;
    for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
    throw CommandError(daemon + " has no model '" + wanted + "', but " + known + "; leave --model" + advice);
  }
  if (!options.settings.empty()) throw CommandError(daemon + " has its own settings; leave --set" + advice);
  if (options.device.empty() && options.dtype.empty()) return wanted;
  const bool is_first = wanted.empty() || wanted == names.front();
  const json model =
      is_first ? info.at("model") : connection.call(method::kInfo, {{"model", wanted}}).at("model");
  const auto check = [&](const std::string& flag, const std::string& value, const std::string& key) {
    const std::string has = model.value(key, "");
    if (value.empty() || value == "auto" || value == has) return;
    throw CommandError(daemon + " reads with " + key + " '" + has + "', not '" + value + "'; leave " + flag +
                       advice);
  };
  check("--device", options.device, "device");
  check("--dtype", options.dtype, "dtype");
  return wanted;
}

}  // namespace

std::string model_text(const std::string& checkpoint, const std::string& dtype) {
  return checkpoint + ", " + dtype;
}

std::unique_ptr<Reader> make_reader(const SharedOptions& options, const std::filesystem::path& journal) {
  const bool look_for_daemon = !options.socket.empty() || !asks_for_own_model(options);
  if (!options.embedded && look_for_daemon) {
    if (auto connection = find_daemon(options.socket)) {
      if (const auto model = daemon_model(*connection, options)) {
        if (options.verbose)
          std::cerr << "unroll: reading with the daemon on " << connection->socket().string()
                    << (model->empty() ? "" : ", model " + *model) << '\n';
        return make_socket_reader(std::move(*connection), *model);
      }
    }
  }
  return options.embedded_reader(options, journal);
}

}  // namespace unroll
