// What --after names: a snapshot by its name, a snapshot's file, or a document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/reading/reader.h"

namespace unroll {

/// How a document is opened. `name` tells it from other ways.
struct Opener {
  std::string name;
  std::function<Source(const std::string& path)> open = Source::open;
};

/// A log, as UTF-8. `encoding` as LogText takes it.
Opener log_opener(const std::string& encoding = {});

/// The name of a snapshot that `reader` then has. A document is read with `plugins`, and what that leaves is
/// kept in the cache. Nullopt if `after` is empty. Throws CommandError, Error.
std::optional<std::string> snapshot_after(Reader& reader, const std::string& after,
                                          const std::vector<PluginRequest>& plugins,
                                          const Opener& opener = {});

/// What a snapshot's file has for a program that goes on without an engine.
struct BytesBefore {
  std::string model, checkpoint;  ///< As ModelInfo has them.
  std::vector<std::byte> state;   ///< BlockModel's, before the block that is not full.
  std::string tail;               ///< The last bytes, from `segment_begin` on.
  std::uint64_t segment_begin = 0, block_begin = 0;
};
/// Throws Error.
BytesBefore bytes_before(const std::string& file);

bool is_snapshot_file(const std::string& path);

/// Reads the whole file. Throws CommandError.
std::string read_snapshot_bytes(const std::string& path);

}  // namespace unroll
