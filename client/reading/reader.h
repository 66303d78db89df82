// Who reads a document for us: the daemon on its socket, or an engine in this process. What comes out is the
// same.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "client/cli/options.h"
#include "client/sources/source.h"

namespace unroll {

struct ReadProgress {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> total_bytes;
  std::uint64_t tokens = 0;
  double tokens_per_second = 0;
};

struct ReadRequest {
  std::vector<PluginRequest> plugins;
  /// Go on with this document where it can be gone on with; else a new one is begun.
  std::optional<DocumentId> resume;
  /// First output (sequence number) to tell of; earlier ones of a resumed document are not told again.
  std::uint64_t from = 0;
  std::optional<std::chrono::milliseconds> flush_after;  ///< As in DocumentRequest.
  std::optional<std::uint64_t> keep_outputs;             ///< As in DocumentRequest.
};

/// Called on the caller's thread while Reader::read() runs; what they throw ends it, and the document can be
/// resumed.
struct ReadEvents {
  std::function<void(const DocumentId&)> opened;  ///< Which document it is, before any output. May be empty.
  /// In order of sequence, each once.
  std::function<void(std::uint64_t sequence, const std::string& plugin, const nlohmann::json& data)> output;
  /// A few times a second, also while nothing happens; first where a resumed document stands. May be empty.
  std::function<void(const ReadProgress&)> progress;
  std::function<void(const ReadProgress&)> ended;     ///< All of it, when the document is done. May be empty.
  std::function<void(const std::string& text)> note;  ///< What people may want to know. May be empty.
};

/// One document at a time, one thread.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Reads the source to its end. Throws CommandError or Error where the document fails.
  virtual void read(Source& source, const ReadRequest& request, const ReadEvents& events) = 0;
  /// Another reader for another thread, which shares the engine or talks to the same daemon.
  virtual std::unique_ptr<Reader> another() = 0;
  /// What decides the numbers that come out, for people and to compare: "unroll-small, fp32".
  virtual std::string model() = 0;
};

/// As the options say: in this process with --embedded, or where the user asks for a model, device or type of
/// numbers of their own; else the daemon that listens on the socket; else in this process, with documents
/// kept in `journal` (empty: in memory) so that they can be resumed. Throws CommandError where --socket was
/// given and nobody listens there. Call it before a document is opened.
std::unique_ptr<Reader> make_reader(const SharedOptions& options, const std::filesystem::path& journal = {});

/// The EmbeddedReaderFactory of a program that links LibTorch. Loads model, vocabulary and plugins at once;
/// throws std::runtime_error that names the file.
std::unique_ptr<Reader> make_embedded_reader(const SharedOptions& options,
                                             const std::filesystem::path& journal);

/// What Reader::model() says of such a model.
std::string model_text(const std::string& checkpoint, const std::string& dtype);

class DaemonConnection;
std::unique_ptr<Reader> make_socket_reader(DaemonConnection connection);

}  // namespace unroll
