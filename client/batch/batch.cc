#include "client/batch/batch.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>

#include "client/batch/result_files.h"
#include "client/cli/command_error.h"
#include "client/reading/read_document.h"
#include "client/views/output_lines.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".ndjson";
constexpr const char* kJournal = "journal";

BatchTotals totals_of(const std::vector<BatchFile>& files) {
  BatchTotals totals{files.size(), 0};
  for (const BatchFile& file : files) totals.bytes += file.size;
  return totals;
}

struct stat look_at(int file, const std::string& name) {
  struct stat status {};
  if (::fstat(file, &status) != 0) throw CommandError(system_message("cannot read " + name, errno));
  return status;
}

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// An open regular file and the hash of its content.
struct OpenFile {
  UniqueFd file;
  struct stat status;
  std::uint64_t size() const { return static_cast<std::uint64_t>(status.st_size); }
};

OpenFile open_file(const std::string& name) {
  // O_NONBLOCK: do not wait for a writer if it has become a named pipe since it was listed.
  UniqueFd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw CommandError(system_message("cannot be read", errno));
  const struct stat status = look_at(file.get(), name);
  if (!S_ISREG(status.st_mode)) throw CommandError("is no longer a regular file");
  return {std::move(file), status};
}

}  // namespace

Batch::Batch(BatchOptions options)
    : options_(std::move(options)),
      plugins_(parse_plugin_requests(options_.plugins)),
      files_(list_batch_files(options_.folder, options_.out)),
      state_folder_(make_result_folder(make_result_folder(options_.out) / kBatchStateFolder)),
      state_(std::make_unique<BatchState>(state_folder_ / "batch.sqlite")),
      reader_(make_reader(options_.shared, state_folder_ / kJournal)),
      model_(reader_->model()),
      plugins_text_(text_of(plugins_)),
      progress_(totals_of(files_)) {}

BatchSummary Batch::run(const std::atomic<int>& stop) {
  stop_ = &stop;
  const auto started = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Reader>> readers;
  readers.push_back(std::move(reader_));
  const std::size_t jobs = std::min(options_.jobs, std::max<std::size_t>(files_.size(), 1));
  while (readers.size() < jobs) readers.push_back(readers.front()->another());
  std::vector<std::thread> threads;
  for (std::size_t job = 0; job < jobs; ++job) {
    threads.emplace_back(&Batch::work, this, job, std::ref(*readers[job]));
  }
  for (std::thread& thread : threads) thread.join();
  readers.clear();
  summary_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  summary_.left =
      files_.size() - summary_.read - summary_.resumed - summary_.copied - summary_.skipped - summary_.failed;
  if (summary_.left == 0 && summary_.failed == 0) forget_journal();
  return summary_;
}

/// Deletes the journal of this process's engine: all its outputs are in the results.
void Batch::forget_journal() {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(state_folder_ / (std::string(kJournal) + suffix), ignored);
  }
}

void Batch::work(std::size_t job, Reader& reader) {
  for (std::size_t i = next_++; i < files_.size() && *stop_ == 0; i = next_++) {
    const BatchFile& file = files_[i];
    try {
      if (!file.problem.empty()) throw CommandError(file.problem);
      count(read(job, reader, file));
    } catch (const BatchStopped&) {
      return;
    } catch (const std::exception& error) {
      fail(file, error.what());
    }
    progress_.finish(job, file.size);
  }
}

Batch::Outcome Batch::read(std::size_t job, Reader& reader, const BatchFile& file) {
  const std::string name = (options_.folder / file.path).string();
  OpenFile opened = open_file(name);
  const auto hash = [&](int descriptor) {
    return content_hash(descriptor, opened.size(), name, [this] { check_stop(); });
  };
  const ResultKey key{hash(opened.file.get()), plugins_text_, model_};
  const fs::path result = result_of(file.path);
  std::error_code ignored;
  const auto entry = state_->find(file.path);
  if (entry && entry->complete && entry->key == key && fs::exists(result, ignored)) return Outcome::kSkipped;
  fs::create_directories(result.parent_path());
  if (copy_result(file, key)) return Outcome::kCopied;

  const UniqueFd watched(::fcntl(opened.file.get(), F_DUPFD_CLOEXEC, 3));
  Source source = Source::of_file(name, std::move(opened.file), opened.size());
  const Outcome outcome = read_to(unfinished_of(result), job, reader, std::move(source), file, key);
  const struct stat after = look_at(watched.get(), name);
  const bool touched =
      !same_time(after.st_mtim, opened.status.st_mtim) || !same_time(after.st_ctim, opened.status.st_ctim);
  if (touched && hash(watched.get()) != key.content) {
    state_->forget(file.path);
    throw CommandError("changed while it was read; run the command again when it no longer changes");
  }
  publish(result);
  BatchState::Entry complete = state_->find(file.path).value();
  complete.complete = true;
  state_->put(file.path, complete);
  return outcome;
}

/// Copies the result of another file with the same content; false if there is none.
bool Batch::copy_result(const BatchFile& file, const ResultKey& key) {
  const fs::path result = result_of(file.path);
  for (const fs::path& other : state_->complete_with(key)) {
    std::error_code failed;
    if (other == file.path) continue;
    fs::copy_file(result_of(other), unfinished_of(result), fs::copy_options::overwrite_existing, failed);
    if (failed) continue;
    publish(result);
    state_->put(file.path, {key, "", true});
    return true;
  }
  return false;
}

/// Writes the whole result, also if an earlier run wrote part of it: the earlier outputs are delivered again.
Batch::Outcome Batch::read_to(const fs::path& result, std::size_t job, Reader& reader, Source source,
                              const BatchFile& file, const ResultKey& key) {
  ReadRequest request;
  request.plugins = plugins_;
  const auto entry = state_->find(file.path);
  if (entry && !entry->complete && entry->key == key) request.resume = entry->document;

  ResultWriter writer(result);
  std::optional<ReadProgress> first;
  ReadProgress last;
  ReadEvents events;
  events.opened = [&](const DocumentId& document) {
    if (request.resume != document) first.emplace();
    state_->put(file.path, {key, document, false});
  };
  events.output = [&](std::uint64_t, const std::string& plugin, const nlohmann::json& data) {
    check_stop();
    write_output_line(writer, "", plugin, data);
  };
  events.ended = [&](const ReadProgress& progress) { last = progress; };
  events.progress = [&](const ReadProgress& progress) {
    check_stop();
    if (!first) first = progress;
    progress_.update(job, file.path.filename().string(), file.size, *first, progress);
  };
  events.note = [&](const std::string& text) { progress_.note(text); };
  reader.read(source, request, events);
  writer.flush();

  const ReadProgress begun = first.value_or(last);
  const std::lock_guard lock(mutex_);
  summary_.bytes += last.bytes - std::min(begun.bytes, last.bytes);
  summary_.tokens += last.tokens - std::min(begun.tokens, last.tokens);
  return begun.bytes > 0 ? Outcome::kResumed : Outcome::kRead;
}

void Batch::count(Outcome outcome) {
  const std::lock_guard lock(mutex_);
  switch (outcome) {
    case Outcome::kRead:
      ++summary_.read;
      break;
    case Outcome::kResumed:
      ++summary_.resumed;
      break;
    case Outcome::kCopied:
      ++summary_.copied;
      break;
    case Outcome::kSkipped:
      ++summary_.skipped;
      break;
  }
}

void Batch::fail(const BatchFile& file, const std::string& why) {
  std::error_code ignored;
  fs::remove(unfinished_of(result_of(file.path)), ignored);
  const std::string name = (options_.folder / file.path).string();
  progress_.message(why.starts_with(name) ? why : name + ": " + why);
  const std::lock_guard lock(mutex_);
  ++summary_.failed;
}

void Batch::check_stop() const {
  if (*stop_ != 0) throw BatchStopped();
}

fs::path Batch::result_of(const fs::path& path) const {
  fs::path result = options_.out / path;
  result += kSuffix;
  return result;
}

}  // namespace unroll
