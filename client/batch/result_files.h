// Result files of a batch. Each is written under a temporary name, and gets its own when it is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/unique_fd.h"
#include "client/cli/command_error.h"

namespace unroll {

/// Beside the results: the records of earlier runs.
inline constexpr const char* kBatchStateFolder = ".unroll";

/// Thrown to stop a batch. Open documents can be resumed.
class BatchStopped : public CommandError {
 public:
  BatchStopped() : CommandError("the batch was stopped") {}
};

/// A result cannot be written: the disk is full or read-only, a quota is used up. Nor can others be.
class ResultUnwritable : public CommandError {
 public:
  explicit ResultUnwritable(const std::string& text) : CommandError(text) {}
  /// `error`: an errno.
  static ResultUnwritable because(const std::filesystem::path& file, int error);
};

/// Plugins and their options, for comparison with an earlier run's.
std::string text_of(const std::vector<PluginRequest>& plugins);

/// Throws CommandError.
std::filesystem::path make_result_folder(const std::filesystem::path& folder);
/// The temporary name.
std::filesystem::path unfinished_of(std::filesystem::path result);
/// Syncs the file with the temporary name, and renames it. Throws ResultUnwritable.
void publish(const std::filesystem::path& result);
/// The same with another temporary name.
void publish(const std::filesystem::path& unfinished, const std::filesystem::path& result);

/// Rows, one line each, of a result with its temporary name. Not thread-safe. Throws ResultUnwritable; after
/// that, no more is written.
class RowFile {
 public:
  /// Continues after the last complete row of an earlier run. To begin again, remove the file first.
  explicit RowFile(const std::filesystem::path& result);
  /// Writes what can be written.
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;
  std::uint64_t rows() const { return rows_; }
  void write(std::string_view row);
  void flush();

 private:
  void find_end();

  std::string name_;
  UniqueFd file_;
  std::string buffer_;
  std::uint64_t rows_ = 0;
  int error_ = 0;  ///< The errno with which writing failed. Later rows must not follow what is missing.
};

}  // namespace unroll
