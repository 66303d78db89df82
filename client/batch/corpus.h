// Reads the records of many files, each record as a document. Every file gets one result with a row for each
// record, in the same order. An interrupted run goes on in the middle of its file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "client/batch/batch_progress.h"
#include "client/batch/batch_state.h"
#include "client/batch/corpus_records.h"
#include "client/reading/reader.h"

namespace unroll {

struct CorpusOptions {
  SharedOptions shared;
  std::vector<std::string> patterns;  ///< As the shell's, with braces and "**".
  CorpusFields fields;
  std::filesystem::path out;
  std::string output_format = "jsonl";  ///< Or "parquet".
  std::vector<std::string> plugins = {"score"};
  std::size_t jobs = 16;  ///< Documents at a time.
};

struct CorpusSummary {
  std::size_t files = 0;    ///< Completed in this run.
  std::size_t skipped = 0;  ///< The result existed.
  std::size_t failed = 0;
  std::size_t left = 0;                                 ///< Not done when the batch was stopped.
  std::uint64_t records = 0, resumed = 0, damaged = 0;  ///< Read; from earlier runs; read without a result.
  std::uint64_t bytes = 0, tokens = 0;                  ///< Of the records that were read in this run.
  double seconds = 0;
};

struct CorpusFile {
  std::filesystem::path path;    ///< As the pattern gave it.
  std::filesystem::path result;  ///< Below the result folder.
  std::uint64_t size = 0;
  CorpusFormat format = CorpusFormat::kJsonLines;
};

/// The files of the patterns, ordered by path, each once. Results keep the folders below the deepest one that
/// all files share: x/a.jsonl.gz gives a.jsonl, or a.parquet. Throws CommandError if a pattern matches
/// nothing, or two files would give the same result.
std::vector<CorpusFile> list_corpus_files(const std::vector<std::string>& patterns,
                                          const std::string& output_format = "jsonl");

class Corpus {
 public:
  /// Creates and locks the result folder, and makes the reader. Throws CommandError.
  explicit Corpus(CorpusOptions options);
  ~Corpus();
  /// Reads until all files are done, or `stop` is not 0. Call once.
  CorpusSummary run(const std::atomic<int>& stop);

 private:
  class Shard;

  void check_results() const;
  void read(const CorpusFile& file);
  void read_records(Shard& shard);
  void publish_result(const std::filesystem::path& result) const;
  std::string row_of(Reader& reader, const CorpusFile& file, CorpusRecord record);
  void check_stop() const;

  const CorpusOptions options_;
  const std::vector<PluginRequest> plugins_;
  const std::vector<CorpusFile> files_;
  std::unique_ptr<BatchState> state_;
  std::vector<std::unique_ptr<Reader>> readers_;  ///< One per job.
  std::string model_, request_text_;
  BatchProgress progress_;
  const std::atomic<int>* stop_ = nullptr;
  std::atomic<std::uint64_t> damaged_{0}, bytes_{0}, tokens_{0};
  std::atomic<bool> said_no_id_{false};
  CorpusSummary summary_;
};

}  // namespace unroll
