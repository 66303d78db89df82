#include "client/batch/corpus.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "client/batch/batch_files.h"
#include "client/batch/result_files.h"
#include "client/cli/running_program.h"
#include "client/cli/text.h"
#include "client/reading/connection.h"
#include "client/reading/read_document.h"
#include "client/views/view.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

/// Rows that wait for an earlier record's.
constexpr std::uint64_t kMostAhead = 1024;
constexpr std::uint64_t kShownProblems = 10;  // of one file
constexpr std::chrono::milliseconds kBeat{100};

/// A row has what a plugin says of the whole document: its last output. So score need not cut it up.
std::vector<PluginRequest> document_plugins(const std::vector<std::string>& texts) {
  auto plugins = parse_plugin_requests(texts);
  for (auto& plugin : plugins) {
    if (plugin.name != "score") continue;
    plugin.options.emplace("granularity", "document");
    plugin.options.emplace("top", 0);
  }
  return plugins;
}

BatchTotals totals_of(const std::vector<CorpusFile>& files) {
  BatchTotals totals{files.size(), 0};
  for (const auto& file : files) totals.bytes += file.size;
  return totals;
}

}  // namespace

/// One file while it is read: hands out its records, and writes their rows in order. Thread-safe.
class Corpus::Shard {
 public:
  Shard(const CorpusFile& file, UniqueFd descriptor, const CorpusFields& fields, const fs::path& result)
      : file(file),
        position_(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3)),
        rows_(result),
        resumed_(rows_.rows()),
        records_(CorpusRecords::open({file.format, file.path.string(), std::move(descriptor), file.size},
                                     fields, resumed_)),
        taken_(resumed_),
        written_(resumed_) {}

  /// The next record; nullopt if there is none, if `stop`, or if another job has failed.
  std::optional<CorpusRecord> take(const std::atomic<int>& stop) {
    std::unique_lock lock(mutex_);
    while (taken_ - written_ >= kMostAhead && !failure_ && stop == 0) changed_.wait_for(lock, kBeat);
    if (failure_ || stop != 0) return std::nullopt;
    auto record = records_->next();
    if (record) taken_ = record->number;
    return record;
  }

  void put(std::uint64_t number, std::string row) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(number, std::move(row));
    while (!waiting_.empty() && waiting_.begin()->first == written_ + 1) {
      rows_.write(waiting_.extract(waiting_.begin()).mapped());
      ++written_;
    }
    changed_.notify_all();
  }

  /// The first failure counts.
  void fail(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(why);
    changed_.notify_all();
  }

  /// After the jobs have ended. Rethrows a failure.
  void finish() {
    rows_.flush();
    if (failure_) std::rethrow_exception(failure_);
  }

  std::uint64_t resumed() const { return resumed_; }  ///< Rows of an earlier run.
  std::uint64_t written() const { return written_; }
  /// Of the file, compressed or not, that have been read.
  std::uint64_t position() const {
    if (const auto known = records_->position()) return *known;
    const auto position = ::lseek(position_.get(), 0, SEEK_CUR);
    return position > 0 ? static_cast<std::uint64_t>(position) : 0;
  }
  /// Whether to tell the user of one more damaged record.
  bool may_show_problem() { return shown_problems_++ < kShownProblems; }

  const CorpusFile& file;

 private:
  const UniqueFd position_;  ///< Shares the file's offset.
  std::mutex mutex_;         ///< Guards what follows, but for the records' position.
  RowFile rows_;
  const std::uint64_t resumed_;
  const std::unique_ptr<CorpusRecords> records_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0, written_ = 0;
  std::map<std::uint64_t, std::string> waiting_;
  std::exception_ptr failure_;
  std::atomic<std::uint64_t> shown_problems_{0};
};

Corpus::Corpus(CorpusOptions options)
    : options_(std::move(options)),
      plugins_(document_plugins(options_.plugins)),
      files_(list_corpus_files(options_.patterns, options_.output_format)),
      state_(std::make_unique<BatchState>(
          make_result_folder(make_result_folder(options_.out) / kBatchStateFolder) / "batch.sqlite")),
      request_text_(text_of(plugins_) + options_.fields.text + '\n' + options_.fields.id),
      progress_(totals_of(files_)) {
  const auto is_parquet = [](const CorpusFile& file) { return file.format == CorpusFormat::kParquet; };
  if (options_.output_format == "parquet" || std::ranges::any_of(files_, is_parquet))
    RunningProgram("unroll-parquet", {"--check"}, -1, -1).wait();
  check_results();
  readers_.push_back(make_reader(options_.shared));
  model_ = readers_.front()->model();
}

Corpus::~Corpus() = default;

/// A result that no earlier run wrote is somebody's file, perhaps even the corpus itself.
void Corpus::check_results() const {
  for (const auto& file : files_) {
    const auto result = options_.out / file.result;
    std::error_code failed;
    const bool is_input = fs::equivalent(result, file.path, failed);
    if (!is_input && (!fs::exists(result, failed) || state_->find(file.result))) continue;
    throw CommandError(result.string() +
                       (is_input ? " is a file of the corpus itself" : " was not written by 'unroll batch'") +
                       "; name another folder with --out");
  }
}

CorpusSummary Corpus::run(const std::atomic<int>& stop) {
  stop_ = &stop;
  const auto started = std::chrono::steady_clock::now();
  while (readers_.size() < options_.jobs) readers_.push_back(readers_.front()->another());
  for (const auto& file : files_) {
    if (stop != 0) break;
    try {
      read(file);
    } catch (const BatchStopped&) {
      break;
    } catch (const DaemonGone&) {
      throw;  // no other file could be read either
    } catch (const ResultUnwritable& error) {
      progress_.message(error.what());
      ++summary_.failed;
      break;
    } catch (const std::exception& error) {
      const std::string text = error.what(), name = file.path.string();
      progress_.message(text.find(name) == std::string::npos ? name + (": " + text) : text);
      ++summary_.failed;
    }
    progress_.finish(0, file.size);
  }
  readers_.clear();
  summary_.left = files_.size() - summary_.files - summary_.skipped - summary_.failed;
  summary_.damaged = damaged_;
  summary_.bytes = bytes_;
  summary_.tokens = tokens_;
  summary_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return summary_;
}

void Corpus::read(const CorpusFile& file) {
  const auto name = file.path.string();
  UniqueFd descriptor(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) throw CommandError(system_message("cannot be read", errno));
  const ResultKey key{content_hash(descriptor.get(), file.size, name, [this] { check_stop(); }),
                      request_text_, model_};
  const fs::path result = options_.out / file.result;
  const auto entry = state_->find(file.result);
  const bool is_known = entry && entry->key == key;
  std::error_code ignored;
  if (is_known && entry->complete && fs::exists(result, ignored)) {
    ++summary_.skipped;
    return;
  }
  make_result_folder(result.parent_path());
  if (!is_known || entry->complete) {
    fs::remove(unfinished_of(result));  // before the state says that it can be resumed
    state_->put(file.result, {key, "", false});
  }
  {
    Shard shard(file, std::move(descriptor), options_.fields, result);
    read_records(shard);
    summary_.resumed += shard.resumed();
    summary_.records += shard.written() - shard.resumed();
    shard.finish();
    check_stop();
  }
  publish_result(result);
  state_->put(file.result, {key, "", true});
  fs::remove(unfinished_of(result), ignored);
  ++summary_.files;
}

/// The rows of a table stay until the state says that it is complete: if this is interrupted, it is made
/// again.
void Corpus::publish_result(const fs::path& result) const {
  if (options_.output_format != "parquet") return publish(result);
  auto table = result;
  table += ".table";
  RunningProgram("unroll-parquet", {"--table", unfinished_of(result).string(), table.string()}, -1, -1)
      .wait();
  publish(table, result);
}

void Corpus::read_records(Shard& shard) {
  const auto tokens_before = tokens_.load();
  const auto began = std::chrono::steady_clock::now();
  const auto work = [&](Reader& reader) {
    try {
      while (auto record = shard.take(*stop_)) {
        const auto number = record->number;
        const bool no_id = !options_.fields.id.empty() && record->id.is_null() && record->problem.empty();
        if (no_id && !said_no_id_.exchange(true))
          progress_.message(shard.file.path.string() + ": record " + std::to_string(number) +
                            " has no id in its field '" + options_.fields.id +
                            "', so its row has null; others may have none, too");
        if (!record->problem.empty() && shard.may_show_problem())
          progress_.message(shard.file.path.string() + ": record " + std::to_string(number) + " " +
                            record->problem);
        shard.put(number, row_of(reader, shard.file, *std::move(record)));
        const auto tokens = tokens_ - tokens_before;
        const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        const ReadProgress now{shard.position(), shard.file.size, tokens,
                               static_cast<double>(tokens) / seconds};
        progress_.update(0, shard.file.path.filename().string(), shard.file.size, {}, now);
      }
    } catch (...) {
      shard.fail(std::current_exception());
    }
  };
  std::vector<std::thread> jobs;
  for (const auto& reader : readers_) jobs.emplace_back(work, std::ref(*reader));
  for (auto& job : jobs) job.join();
}

/// Reads one record as a document. If the plugins fail on it, the row says why.
std::string Corpus::row_of(Reader& reader, const CorpusFile& file, CorpusRecord record) {
  nlohmann::ordered_json row;
  row["id"] = record.id;
  const auto damaged = [&](const std::string& problem) {
    ++damaged_;
    row["record"] = record.number;
    row["error"] = problem;
    return to_line(row);
  };
  if (!record.problem.empty()) return damaged(record.problem);
  auto source =
      Source::of_text(file.path.string() + ", record " + std::to_string(record.number), record.text);
  ReadProgress total;
  std::map<std::string, nlohmann::json> last;
  ReadEvents events;
  events.output = [&](std::uint64_t, const std::string& plugin, const nlohmann::json& data) {
    check_stop();
    last[plugin] = data;
  };
  events.ended = [&](const ReadProgress& progress) { total = progress; };
  events.note = [&](const std::string& text) { progress_.note(text); };
  try {
    ReadRequest request;
    request.plugins = plugins_;
    reader.read(source, request, events);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kPluginFailed) throw;
    return damaged(error.what());
  }
  bytes_ += total.bytes;
  tokens_ += total.tokens;
  row["tokens"] = total.tokens;
  row["bytes"] = total.bytes;
  for (const auto& plugin : plugins_) {
    const auto& data = last[plugin.name];
    if (plugin.name == "score") {
      row["bits_per_byte"] = data.is_object() ? data.value("bits_per_byte", nlohmann::json()) : nullptr;
    } else {
      row[plugin.name] = data;
    }
  }
  return to_line(row);
}

void Corpus::check_stop() const {
  if (*stop_ != 0) throw BatchStopped();
}

}  // namespace unroll
