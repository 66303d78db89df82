// What --after names: a snapshot by its name, a snapshot's file, or a document.
#pragma once

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

bool is_snapshot_file(const std::string& path);

/// Reads the whole file. Throws CommandError.
std::string read_snapshot_bytes(const std::string& path);

}  // namespace unroll
