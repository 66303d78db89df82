// The interface for reading documents: with the daemon, or with an engine in this process. Both give the same
// outputs.
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
#include "base/snapshot.h"
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
  /// Resume this document if possible; otherwise open a new one.
  std::optional<DocumentId> resume;
  /// Sequence number of the first output to deliver; earlier outputs of a resumed document are skipped.
  std::uint64_t from = 0;
  std::optional<std::chrono::milliseconds> flush_after;  ///< As in DocumentRequest.
  std::optional<std::uint64_t> keep_outputs;             ///< As in DocumentRequest.
  std::optional<std::string> after;                      ///< Go on from the snapshot of this name.
  std::optional<SnapshotRequest> snapshot;               ///< Make one of the document's end.
};

/// Called on the caller's thread while Reader::read() runs. If one throws, read() ends with the exception and
/// the document can be resumed.
struct ReadEvents {
  std::function<void(const DocumentId&)> opened;  ///< Called before any output. May be empty.
  /// In order of sequence, each exactly once.
  std::function<void(std::uint64_t sequence, const std::string& plugin, const nlohmann::json& data)> output;
  /// A few times per second, also while idle; first with the position of a resumed document. May be empty.
  std::function<void(const ReadProgress&)> progress;
  std::function<void(const ReadProgress&)> ended;     ///< Totals, when the document is done. May be empty.
  std::function<void(const std::string& text)> note;  ///< Messages for the user. May be empty.
};

/// Reads one document at a time. Not thread-safe.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Reads the source to its end. Throws CommandError or Error if the document fails.
  virtual void read(Source& source, const ReadRequest& request, const ReadEvents& events) = 0;
  /// Another reader for another thread, which shares the engine or talks to the same daemon.
  virtual std::unique_ptr<Reader> another() = 0;
  /// Whether `ReadRequest::resume` can name it.
  virtual bool has_document(const DocumentId& id) = 0;
  /// What determines the outputs, for people and for comparison: "unroll-small, fp32".
  virtual std::string model() = 0;

  // The user's snapshots. Without a daemon they last as long as this process. They throw Error.
  virtual std::vector<SnapshotInfo> snapshots() = 0;
  virtual bool keeps_snapshots() const = 0;  ///< Longer than this process.
  virtual std::string export_snapshot(const std::string& name) = 0;
  virtual SnapshotInfo import_snapshot(const std::string& file, const SnapshotRequest& request) = 0;
  virtual void delete_snapshot(const std::string& name) = 0;
};

/// Chooses the reader: in this process with --embedded, or if a model's path, a device or a type is given;
/// else the daemon that listens on the socket, if it has the model that is named; else in this process. In
/// this process documents are kept in `journal` (empty: in memory) so that they can be resumed. Throws
/// CommandError if --socket was given and no daemon listens there. Call it before opening a document.
std::unique_ptr<Reader> make_reader(const SharedOptions& options, const std::filesystem::path& journal = {});

/// The EmbeddedReaderFactory of programs that link LibTorch. Loads model, vocabulary and plugins. Throws
/// std::runtime_error, which names the file.
std::unique_ptr<Reader> make_embedded_reader(const SharedOptions& options,
                                             const std::filesystem::path& journal);

/// Formats the result of Reader::model().
std::string model_text(const std::string& checkpoint, const std::string& dtype);

class DaemonConnection;
/// `model`: one of the daemon's, by name; empty: its first.
std::unique_ptr<Reader> make_socket_reader(DaemonConnection connection, std::string model);

}  // namespace unroll
