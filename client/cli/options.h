// The flags that many commands share.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/block_model.h"

namespace unroll {

class Reader;
struct SharedOptions;

/// Makes a reader with an engine in this process, its documents kept in `journal` (empty: in memory).
using EmbeddedReaderFactory =
    std::function<std::unique_ptr<Reader>(const SharedOptions&, const std::filesystem::path& journal)>;

struct SharedOptions {
  EmbeddedReaderFactory embedded_reader;  ///< The program's own.
  std::filesystem::path model;   ///< A name or a path. Empty: the daemon's, or default_model_directory().
  std::filesystem::path socket;  ///< Empty: where a daemon is looked for by default.
  bool embedded = false;
  bool verbose = false;
  std::string device, dtype;          ///< Empty: the daemon's, or ModelOptions' own.
  std::vector<std::string> settings;  ///< "KEY=VALUE", over what the model's configuration says.
  std::string format;
  std::filesystem::path out;  ///< Empty: standard output.
};

/// What --model names, else default_model_directory(): a checkpoint's folder or a GGUF file. Throws
/// CommandError that says what there is if there is no such model.
std::filesystem::path model_folder(const std::filesystem::path& given);

ModelOptions model_options(const SharedOptions& options);

}  // namespace unroll
