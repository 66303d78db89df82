// Reads a document from a descriptor that a peer sent along, no faster than the engine takes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "daemon/context.h"

namespace unroll {

/// What came with a line, or was opened again: a regular file, a pipe or a socket in a source reader.
struct DocumentSource {
  std::shared_ptr<ForeignSource> handle;
  bool is_file = false;
  std::optional<std::uint64_t> bytes;    ///< A regular file's length.
  std::optional<FileLocation> location;  ///< Where a regular file can be opened again.

  /// Of a reader's answer to kTake or kOpen that opened something.
  static DocumentSource of(ServerContext& context, std::shared_ptr<SourceReader> reader,
                           const SourceReader::Answer& answer);
};

/// All on the I/O thread, but complete().
class DocumentFeed : public std::enable_shared_from_this<DocumentFeed> {
 public:
  /// Reads from byte `offset` of the document on: a file from there, of a pipe the bytes before are thrown
  /// away. Failures to read fail the document with kSource. Throws Error(kSource) if a file is shorter.
  static std::shared_ptr<DocumentFeed> start(ServerContext& context, DocumentSource source, DocumentId id,
                                             std::uint64_t offset);
  DocumentFeed(ServerContext& context, DocumentSource source, DocumentId id, std::uint64_t offset);

  /// Reads no more.
  void stop() { source_.handle = nullptr; }
  /// All bytes were handed to the engine. Any thread.
  bool complete() const { return complete_; }

 private:
  void next();
  void next_later();
  void take(SourceReader::Answer answer);
  void append(std::string bytes);
  void end();
  void fail(const std::string& reason);

  const std::shared_ptr<ServerContext> context_;
  DocumentSource source_;
  const DocumentId id_;
  std::uint64_t offset_ = 0;  ///< Of the next read from a file.
  std::uint64_t skip_ = 0;    ///< Bytes of a pipe that are still to be thrown away.
  std::atomic<bool> complete_{false};
};

}  // namespace unroll
