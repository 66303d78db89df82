// The folder of a training run: its lock, its existing contents, and the text that the run reads.
#pragma once

#include <filesystem>
#include <string>

#include <boost/interprocess/sync/file_lock.hpp>

#include "training/token_file.h"
#include "training/trainer.h"

namespace unroll {

class RunFolder {
 public:
  /// Creates the folder if it does not exist, and locks it while this object exists. Removes incomplete files
  /// of a killed run. Throws std::runtime_error. Of the processes that share a run, one `leads` and does all
  /// this; the others read its files.
  RunFolder(const std::filesystem::path& out, bool leads);

  std::filesystem::path trainer() const { return out_ / "trainer"; }
  std::filesystem::path state_file() const { return trainer() / "checkpoint.safetensors"; }
  bool resumes() const { return std::filesystem::exists(state_file()); }

  /// Opens a file of prepared tokens directly, anything else after preparing it as trainer/`name`. A resumed
  /// run uses the text that it began with, even if the files have changed.
  TokenFile open_tokens(const std::filesystem::path& source, const std::filesystem::path& vocabulary,
                        const std::string& name, const TrainCallbacks& callbacks) const;

 private:
  void remove_half_written() const;

  std::filesystem::path out_;
  bool leads_;
  boost::interprocess::file_lock lock_;
};

}  // namespace unroll
