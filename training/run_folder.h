// The folder of a run: who may write there, what is there already, the text that the run reads.
#pragma once

#include <filesystem>
#include <string>

#include <boost/interprocess/sync/file_lock.hpp>

#include "training/token_file.h"
#include "training/trainer.h"

namespace unroll {

class RunFolder {
 public:
  /// Makes the folder where it is none, and keeps others out while this lives: two runs in one folder would
  /// destroy both. Removes what a killed run left half written. Throws std::runtime_error. Of the processes
  /// that share a run one `leads` and does all that; the others read what it has made.
  RunFolder(const std::filesystem::path& out, bool leads);

  std::filesystem::path trainer() const { return out_ / "trainer"; }
  std::filesystem::path state_file() const { return trainer() / "checkpoint.safetensors"; }
  bool resumes() const { return std::filesystem::exists(state_file()); }

  /// A file of prepared tokens as it is; anything else by way of trainer/`name`. A run goes on with the text
  /// that it began with, though logs grow.
  TokenFile open_tokens(const std::filesystem::path& source, const std::filesystem::path& vocabulary,
                        const std::string& name, const TrainCallbacks& callbacks) const;

 private:
  void remove_half_written() const;

  std::filesystem::path out_;
  bool leads_;
  boost::interprocess::file_lock lock_;
};

}  // namespace unroll
