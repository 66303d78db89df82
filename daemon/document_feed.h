// Reads a document from a descriptor that a peer sent, no faster than the engine accepts it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "daemon/context.h"

namespace unroll {

/// A regular file, a pipe or a socket in a source reader, sent with a line or opened again.
struct DocumentSource {
  std::shared_ptr<ForeignSource> handle;
  bool is_file = false;
  std::optional<std::uint64_t> bytes;    ///< A regular file's length.
  std::optional<FileLocation> location;  ///< For opening a regular file again.

  /// From a reader's successful answer to kTake or kOpen.
  static DocumentSource of(ServerContext& context, std::shared_ptr<SourceReader> reader,
                           const SourceReader::Answer& answer);
};

/// For the I/O thread only, except complete().
class DocumentFeed : public std::enable_shared_from_this<DocumentFeed> {
 public:
  /// Reads the document's bytes from resume_bytes on, after a look at those before: if they are others than
  /// were read before, or cannot be read, the document fails with kSource. Throws Error(kSource) if a file is
  /// shorter.
  static std::shared_ptr<DocumentFeed> start(ServerContext& context, DocumentSource source,
                                             const Opened& opened);
  DocumentFeed(ServerContext& context, DocumentSource source, const Opened& opened);

  /// Stops reading.
  void stop() { source_.handle = nullptr; }
  /// Whether the engine has all bytes. Thread-safe.
  bool complete() const { return complete_; }

 private:
  void next();
  void next_later();
  bool can_take(const SourceReader::Answer& answer);
  void take(SourceReader::Answer answer);
  void check(const SourceReader::Answer& answer);
  void append(std::string bytes);
  void end();
  void fail(const std::string& reason);

  const std::shared_ptr<ServerContext> context_;
  DocumentSource source_;
  const Opened opened_;
  std::uint64_t offset_ = 0;  ///< Of the document's next byte to read.
  std::atomic<bool> complete_{false};
};

}  // namespace unroll
