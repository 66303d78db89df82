#include "client/follow/follow_pump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

#include "base/hash.h"
#include "base/hex.h"
#include "client/cli/command_error.h"
#include "plugins/builtin/records/record.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kHeadBytes = 256;  // times differ in the first lines of two generations
constexpr std::size_t kWideHeadBytes = 512;
constexpr std::size_t kKeptMarks = 16;
constexpr std::size_t kMostCompressed = 32;  // that are looked into
// Polls for what inotify does not report: remote writes to a network file system, a missing folder.
constexpr int kLookAnywayMs = 1000;

/// Reads up to `bytes.size()` bytes at that offset; 0 at the file's end.
std::size_t read_at(int file, std::uint64_t offset, std::span<char> bytes, const fs::path& path) {
  for (;;) {
    const ssize_t got = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw CommandError(system_message("cannot read " + path.string(), errno));
  }
}

std::string first_bytes(int file, std::size_t count, const fs::path& path) {
  std::string bytes(count, '\0');
  bytes.resize(read_at(file, 0, bytes, path));
  return bytes;
}

std::string hash_of(std::string_view bytes) {
  return to_hex(fnv1a(bytes));
}

/// Reads `count` bytes; fewer at the end.
std::string read_from(Source& source, std::uint64_t count) {
  std::string bytes;
  while (bytes.size() < count) {
    const std::string more =
        source.read(std::min<std::size_t>(kReadBytes, static_cast<std::size_t>(count) - bytes.size()));
    if (more.empty()) break;
    bytes += more;
  }
  return bytes;
}

/// The compressed file at the mark's byte; nullopt if it is another file than the mark's.
std::optional<Source> decompressed(const fs::path& path, const FileMark& mark) {
  Source source = Source::open(path.string());
  source.begin(0);
  if (!source.is_compressed()) return std::nullopt;
  if (mark.head_bytes > 0 && hash_of(read_from(source, mark.head_bytes)) != mark.head) return std::nullopt;
  for (std::uint64_t left = mark.offset - mark.head_bytes; left > 0;) {
    const std::string skipped = read_from(source, std::min<std::uint64_t>(left, kReadBytes));
    if (skipped.empty()) return std::nullopt;
    left -= skipped.size();
  }
  return source;
}

}  // namespace

FollowPump::FollowPump(FollowedFile file, KeptText& kept, Note note)
    : FollowedPump(kept, std::move(note)),
      options_(std::move(file)),
      path_(fs::absolute(options_.path)),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) {
    this->note(system_message("cannot watch " + path_.string(), errno) +
               "; it is checked once a second; raise fs.inotify.max_user_instances");
  }
  const LogText known(options_.encoding);  // throws if it is unknown
  std::error_code failed;
  const fs::file_status status = fs::status(path_, failed);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw CommandError(path_.string() +
                       " is not a regular file, and only those can be followed; read it with "
                       "'unroll run'");
  if (fs::exists(status) && ::access(path_.c_str(), R_OK) != 0)
    throw CommandError(system_message("cannot read " + path_.string(), errno) +
                       "; change its permissions, or run as a user who may read it");
}

bool FollowPump::open(std::uint64_t missing) {
  if (const nlohmann::json place = kept().place(); !place.is_null()) {
    place_ = place.get<FilePlace>();
    return go_on(missing);
  }
  if (const auto first = generation_at(path_)) start(*first, options_.at_end ? first->size : 0);
  return true;
}

/// Continues in the file that was read last; if it is gone, without a file and with a note.
bool FollowPump::go_on(std::uint64_t missing) {
  FileMark& now = place_->now;
  offset_ = now.offset;
  for (const Generation& generation : generations_of(path_)) {
    if (!(generation.identity == now.file) || !open_file(generation)) continue;
    if (generation.size >= offset_ && !is_overwritten()) {
      begin_text();
      return generation.size - offset_ >= missing;
    }
    note(path_.string() + " was truncated in the meantime; what was written to it before that is lost");
    start(generation, 0);
    return false;
  }
  if (open_compressed()) {
    begin_text();
    return true;
  }
  note("the last bytes written to " + path_.string() +
       " are lost if there were any: the file was removed; reading continues after them");
  return false;
}

void FollowPump::follow(int pipe, int stop) {
  for (;;) {
    watch();  // before checking the file, so that no change is missed
    Step step = copy(pipe);
    if (step == Step::kReaderGone) return;
    if (step == Step::kNothing) step = move_on();
    if (options_.drained) *options_.drained = step == Step::kNothing;
    if (step == Step::kNothing && !wait(pipe, stop)) return;
  }
}

FollowPump::Step FollowPump::copy(int pipe) {
  Step step = Step::kNothing;
  while (rest_) {
    const std::string bytes = read_rest();
    if (bytes.empty()) break;
    if (!take(pipe, bytes)) return Step::kReaderGone;
    step = Step::kMoved;
  }
  if (!file_) return step;
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const std::size_t got = read_at(file_.get(), offset_, buffer, path_);
    if (got == 0 || is_overwritten()) return step;  // in this order: it may happen between the two
    if (!take(pipe, {buffer.data(), got})) return Step::kReaderGone;
    step = Step::kMoved;
  }
}

/// Of the compressed file; empty at its end, which is also its first byte that cannot be decompressed.
std::string FollowPump::read_rest() {
  std::string bytes;
  try {
    bytes = rest_->read(kReadBytes);
  } catch (const CommandError& error) {
    note(error.what());
  }
  if (bytes.empty()) rest_.reset();
  return bytes;
}

/// The file's next bytes. False if the reader is gone.
bool FollowPump::take(int pipe, std::string_view bytes) {
  std::string lines;
  const bool cut_before = text_->cut_lines() > 0;
  text_->take(bytes, lines);
  offset_ += bytes.size();
  mark(bytes);
  if (!cut_before && text_->cut_lines() > 0)
    note(path_.string() + " has lines of which only the first " +
         std::to_string(records::kMostRecordBytes / 1024) + " KiB are read");
  if (lines.empty()) return true;
  // A line has ended in these bytes, so the next one begins in this file.
  place_->now.offset = offset_ - text_->open_bytes();
  return send(pipe, lines, *place_);
}

/// At the file's end: checks whether there is more to read in another file.
FollowPump::Step FollowPump::move_on() {
  const auto current = file_ ? generation_of(file_.get()) : std::nullopt;
  const auto named = generation_at(path_);
  if (current && !named) return Step::kNothing;
  if (current && named->identity == current->identity) {
    const bool truncated = named->size < offset_ || is_overwritten();
    return truncated && start(*named, 0) ? Step::kMoved : Step::kNothing;
  }
  return move_to_newer();
}

FollowPump::Step FollowPump::move_to_newer() {
  const auto newer = newer_generation();
  // Programs write to the old file until they are told to reopen. The first byte in the new file shows that
  // they did.
  if (!newer || (file_ && newer->size == 0)) return Step::kNothing;
  if (file_ && !std::exchange(drained_, true)) return Step::kMoved;  // once more, for bytes written meanwhile
  return start(*newer, offset_in(*newer)) ? Step::kMoved : Step::kNothing;
}

/// The generation after the one that was read last: there may have been several rotations.
std::optional<Generation> FollowPump::newer_generation() const {
  auto plain = newer_plain(), compressed = newer_compressed();
  if (!compressed || !plain) return compressed ? compressed : plain;
  // Of files that were last written at the same time, FILE is the newer one.
  const bool older = compressed->modified < plain->modified ||
                     (compressed->modified == plain->modified && plain->path == path_);
  return older ? compressed : plain;
}

std::optional<Generation> FollowPump::newer_plain() const {
  std::vector<Generation> all = generations_of(path_);
  const auto is_last_read = [&](const Generation& generation) {
    return place_ && generation.identity == place_->now.file;
  };
  const auto last = std::find_if(all.begin(), all.end(), is_last_read);
  for (auto other = last == all.end() ? all.begin() : last; other != all.end(); ++other) {
    if (other->path == path_) return std::move(*other);
    if (!place_ || other->size == 0 || is_last_read(*other)) continue;
    // If that one is gone, times decide; without them only FILE itself is certain to be newer.
    const FileMark& now = place_->now;
    const bool later = now.modified != 0 ? other->modified >= now.modified
                                         : now.file.born != 0 && other->identity.born >= now.file.born;
    const bool known = std::any_of(place_->before.begin(), place_->before.end(),
                                   [&](const FileMark& mark) { return mark.file == other->identity; });
    if ((last != all.end() || (later && !was_read(*other))) && !known) return std::move(*other);
  }
  return std::nullopt;
}

/// The oldest that was written after the one that was read last, and was compressed before it was read.
std::optional<Generation> FollowPump::newer_compressed() const {
  if (!place_ || place_->now.modified == 0) return std::nullopt;
  std::optional<Generation> oldest;
  for (Generation& file : compressed_generations_of(path_)) {
    if (file.modified < place_->now.modified) break;
    if (!(file.identity == place_->now.file) && !was_read(file)) oldest = std::move(file);
  }
  return oldest;
}

/// Whether the content is that of a file which was read: before it was compressed, or of which it is a copy.
/// Also if it cannot be decompressed.
bool FollowPump::was_read(const Generation& generation) const {
  std::string head;
  try {
    Source source = Source::open(generation.path.string());
    source.begin(0);
    if (source.is_compressed() == generation.compressed) head = read_from(source, kHeadBytes);
  } catch (const CommandError&) {  // it is being written, or gone
  }
  const auto is_it = [&](const FileMark& mark) {
    return mark.head_bytes > 0 && hash_of(head.substr(0, mark.head_bytes)) == mark.head;
  };
  return head.empty() || is_it(place_->now) ||
         std::any_of(place_->before.begin(), place_->before.end(), is_it);
}

/// The offset at which to continue in a file that was read before and has its old name again.
std::uint64_t FollowPump::offset_in(const Generation& generation) const {
  if (!place_) return 0;
  const auto continued = [&](const FileMark& mark, std::uint64_t offset) {
    return mark.file == generation.identity && offset <= generation.size ? offset : 0;
  };
  if (place_->now.file == generation.identity) return continued(place_->now, offset_);
  const auto mark = std::find_if(place_->before.rbegin(), place_->before.rend(),
                                 [&](const FileMark& each) { return each.file == generation.identity; });
  return mark == place_->before.rend() ? 0 : continued(*mark, mark->offset);
}

/// Reads the file from `offset` on.
bool FollowPump::start(const Generation& generation, std::uint64_t offset) {
  if (!open_file(generation)) return false;
  if (!place_) {
    place_.emplace();
  } else {
    auto& before = place_->before;
    std::erase_if(before, [&](const FileMark& mark) {
      return mark.file == place_->now.file || mark.file == generation.identity;
    });
    place_->now.offset = offset_;
    if (!(place_->now.file == generation.identity)) before.push_back(place_->now);
    if (before.size() > kKeptMarks) before.erase(before.begin());
  }
  place_->now = {generation.identity, offset, 0, "", generation.modified};
  offset_ = offset;
  mark("");
  // A program that wrote half a line before the rotation writes the other half after it: the line goes on.
  if (text_ && text_->open_bytes() > 0) return true;
  begin_text();
  kept().add("", *place_);
  return true;
}

void FollowPump::begin_text() {
  std::string encoding = options_.encoding;
  // In the middle of a file there is no byte order mark.
  if (encoding.empty() && offset_ > 0 && file_)
    encoding = wide_encoding(first_bytes(file_.get(), kWideHeadBytes, path_));
  text_ = std::make_unique<LogText>(encoding, false);
}

bool FollowPump::open_file(const Generation& generation) {
  if (generation.compressed) return open_rest(generation.path, FileMark());
  UniqueFd file(::open(generation.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno != ENOENT && !std::exchange(refused_, true))
    note(system_message("cannot read " + generation.path.string(), errno) +
         "; change its permissions; it will be tried again");
  const auto opened = file ? generation_of(file.get()) : std::nullopt;
  if (!opened || !(opened->identity == generation.identity)) return false;
  file_ = std::move(file);
  drained_ = refused_ = false;
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));  // without the earlier file's watch
  return true;
}

/// Whether the file that was read last is a compressed one now; then its rest is read.
bool FollowPump::open_compressed() {
  std::vector<Generation> files = compressed_generations_of(path_);
  files.resize(std::min(files.size(), kMostCompressed));
  return std::any_of(files.begin(), files.end(), [&](const Generation& file) {
    return (file.identity == place_->now.file || place_->now.head_bytes > 0) &&
           open_rest(file.path, place_->now);
  });
}

/// Whether it is the mark's file; then it is read from there on.
bool FollowPump::open_rest(const fs::path& compressed, const FileMark& mark) {
  try {
    rest_ = decompressed(compressed, mark);
  } catch (const CommandError& error) {
    note(error.what());
  }
  if (rest_) file_.reset();
  return rest_.has_value();
}

/// The same file has another beginning: it was truncated and written again.
bool FollowPump::is_overwritten() const {
  const FileMark& now = place_->now;
  return now.head_bytes > 0 && hash_of(first_bytes(file_.get(), now.head_bytes, path_)) != now.head;
}

/// The file was read up to offset_; these are its last bytes.
void FollowPump::mark(std::string_view bytes) {
  FileMark& now = place_->now;
  if (!file_) {
    if (now.head_bytes > 0 || bytes.empty()) return;
    now.head_bytes = std::min(bytes.size(), kHeadBytes);
    now.head = hash_of(bytes.substr(0, kHeadBytes));
    return;
  }
  if (const auto generation = generation_of(file_.get())) now.modified = generation->modified;
  mark_head();
}

void FollowPump::mark_head() {
  FileMark& now = place_->now;
  const std::uint64_t wanted = std::min<std::uint64_t>(offset_, kHeadBytes);
  if (now.head_bytes >= wanted) return;
  const std::string head = first_bytes(file_.get(), wanted, path_);
  now.head_bytes = head.size();
  now.head = hash_of(head);
}

void FollowPump::watch() {
  constexpr std::uint32_t kGrown = IN_MODIFY | IN_ATTRIB;
  ::inotify_add_watch(inotify_.get(), path_.parent_path().c_str(),
                      IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF);
  ::inotify_add_watch(inotify_.get(), path_.c_str(), kGrown);
  if (!file_) return;
  ::inotify_add_watch(inotify_.get(), ("/proc/self/fd/" + std::to_string(file_.get())).c_str(), kGrown);
}

/// Waits until something may have changed; false to stop.
bool FollowPump::wait(int pipe, int stop) {
  std::array<pollfd, 3> waited = {pollfd{inotify_.get(), POLLIN, 0}, pollfd{stop, POLLIN, 0},
                                  pollfd{pipe, 0, 0}};
  if (::poll(waited.data(), waited.size(), kLookAnywayMs) < 0 && errno != EINTR)
    throw CommandError(system_message("cannot wait for " + path_.string(), errno));
  std::array<char, 4096> events;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) {
  }
  return waited[1].revents == 0 && waited[2].revents == 0;
}

}  // namespace unroll
