// Reads a document from a descriptor that a peer sent along, no faster than the engine takes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "daemon/context.h"
#include "daemon/source_files.h"
#include "daemon/unique_fd.h"

namespace unroll {

/// What a descriptor may be: a regular file, a pipe or a socket, open for reading.
struct DocumentSource {
  UniqueFd fd;
  bool is_file = false;
  std::optional<std::uint64_t> bytes;    ///< A regular file's length.
  std::optional<FileLocation> location;  ///< Where a regular file can be opened again.
};

/// Throws Error(kSource) for anything else. Does not read.
DocumentSource check_source(UniqueFd fd);

class DocumentFeed {
 public:
  virtual ~DocumentFeed() = default;
  /// Reads from byte `offset` of the document on: a file from there, of a pipe the bytes before are thrown
  /// away. Failures to read fail the document with kSource. Throws Error(kSource) where a file is shorter.
  static std::shared_ptr<DocumentFeed> start(ServerContext& context, DocumentSource source, DocumentId id,
                                             std::uint64_t offset);
  /// Reads no more. The I/O thread.
  virtual void stop() = 0;
  /// All bytes were handed to the engine. Any thread.
  bool complete() const { return complete_; }

 protected:
  /// Hands over `bytes`, `next` is called (on any thread) when there is room for more. False: the document is
  /// over.
  static bool append(Engine& engine, const DocumentId& id, std::string bytes, std::function<void()> next);
  void end(Engine& engine, const DocumentId& id);
  static void fail(Engine& engine, const DocumentId& id, const std::string& reason);

  std::atomic<bool> complete_{false};
};

}  // namespace unroll
