// Reads the files of a folder, several at a time. Each result is written to a temporary name and renamed when
// complete. The state of each file is stored beside the results, so that an interrupted batch resumes in the
// middle of its files.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/batch/batch_files.h"
#include "client/batch/batch_progress.h"
#include "client/batch/batch_state.h"
#include "client/reading/reader.h"

namespace unroll {

struct BatchOptions {
  SharedOptions shared;
  std::filesystem::path folder, out;
  std::vector<std::string> plugins = {"score"};
  std::size_t jobs = 2;
};

struct BatchSummary {
  std::size_t read = 0;     ///< From the beginning.
  std::size_t resumed = 0;  ///< From the point at which an earlier run was interrupted.
  std::size_t copied = 0;   ///< From the result of another file with the same content.
  std::size_t skipped = 0;  ///< The result existed.
  std::size_t failed = 0;
  std::size_t left = 0;                 ///< Not done when the batch was stopped.
  std::uint64_t bytes = 0, tokens = 0;  ///< Read in this run.
  double seconds = 0;
};

class Batch {
 public:
  /// Creates and locks the result folder, and makes the reader. Throws CommandError.
  explicit Batch(BatchOptions options);
  /// Reads until all files are done, or `stop` is not 0. Call once.
  BatchSummary run(const std::atomic<int>& stop);

 private:
  enum class Outcome { kRead, kResumed, kCopied, kSkipped };

  void work(std::size_t job, Reader& reader);
  Outcome read(std::size_t job, Reader& reader, const BatchFile& file);
  bool copy_result(const BatchFile& file, const ResultKey& key);
  Outcome read_to(const std::filesystem::path& result, std::size_t job, Reader& reader, Source source,
                  const BatchFile& file, const ResultKey& key);
  void count(Outcome outcome);
  void fail(const BatchFile& file, const std::string& why);
  void check_stop() const;
  std::filesystem::path result_of(const std::filesystem::path& path) const;
  void forget_journal();

  const BatchOptions options_;
  const std::vector<PluginRequest> plugins_;
  const std::vector<BatchFile> files_;
  const std::filesystem::path state_folder_;
  std::unique_ptr<BatchState> state_;
  std::unique_ptr<Reader> reader_;
  std::string model_, plugins_text_;
  BatchProgress progress_;
  const std::atomic<int>* stop_ = nullptr;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  BatchSummary summary_;  ///< Guarded by mutex_.
};

}  // namespace unroll
