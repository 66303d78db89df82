// Who reads a document for us: the daemon on its socket, or an engine in this process. What comes out is the
// same.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/options.h"
#include "client/source.h"
#include "engine/engine.h"

namespace unroll {

struct ReadProgress {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> total_bytes;
  std::uint64_t tokens = 0;
  double tokens_per_second = 0;
};

/// Called on the caller's thread while Reader::read() runs; what they throw ends it.
struct ReadEvents {
  std::function<void(const std::string& plugin, const nlohmann::json& data)>
      output;                                         ///< In order of sequence.
  std::function<void(const ReadProgress&)> progress;  ///< A few times a second.
};

/// One document at a time, one thread.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Reads the source to its end. Throws CommandError or Error where the document fails.
  virtual void read(Source& source, const std::vector<PluginRequest>& plugins, const ReadEvents& events) = 0;
};

/// As the options say: in this process with --embedded, or where the user asks for a model, device or type of
/// numbers of their own; else the daemon that listens on the socket; else in this process. Throws
/// CommandError where --socket was given and nobody listens there.
std::unique_ptr<Reader> make_reader(const SharedOptions& options);

/// Loads model, vocabulary and plugins at once. Throws std::runtime_error that names the file.
std::unique_ptr<Reader> make_embedded_reader(const std::filesystem::path& model, const ModelOptions& options);

class Connection;
std::unique_ptr<Reader> make_socket_reader(Connection connection);

}  // namespace unroll
