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

#include "base/write_all.h"
#include "client/cli/command_error.h"
#include "client/sources/log_text.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kKeptPieces = 64;
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

/// Places in the document are places in the file, so its text cannot be decoded on the way.
void refuse_wide_text(int file, const fs::path& path) {
  std::array<char, 512> head;
  const std::string encoding = wide_encoding({head.data(), read_at(file, 0, head, path)});
  if (encoding.empty()) return;
  throw CommandError(path.string() + " is " + encoding +
                     ", and 'unroll follow' reads UTF-8; let its program write UTF-8, or read it with "
                     "'unroll anomaly'");
}

}  // namespace

FollowPump::FollowPump(const fs::path& file, const nlohmann::json& pieces, bool at_end, Hooks hooks)
    : path_(fs::absolute(file)),
      at_end_(at_end),
      hooks_(std::move(hooks)),
      pieces_(pieces.get<std::vector<FilePiece>>()),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) {
    throw CommandError(system_message("cannot watch " + path_.string(), errno) +
                       "; raise fs.inotify.max_user_instances");
  }
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

void FollowPump::begin_anew(std::uint64_t offset) {
  const std::lock_guard lock(pieces_mutex_);
  for (FilePiece& piece : pieces_) piece.document -= static_cast<std::int64_t>(offset);
}

std::uint64_t FollowPump::begin(std::uint64_t from) {
  position_ = from;
  if (pieces_.empty()) {
    if (const auto first = generation_at(path_)) start_piece(*first, at_end_ ? first->size : 0);
    return from;
  }
  const auto behind = std::find_if(pieces_.begin() + 1, pieces_.end(), [&](const FilePiece& piece) {
    return piece.document > static_cast<std::int64_t>(from);
  });
  open_piece(static_cast<std::size_t>(behind - pieces_.begin()) - 1, from);
  return from;
}

void FollowPump::run(int pipe, int stop) {
  for (;;) {
    watch();  // before checking the file, so that no change is missed
    Step step = copy(pipe);
    if (step == Step::kReaderGone) return;
    if (step == Step::kNothing) step = move_on();
    if (step == Step::kNothing && !wait(pipe, stop)) return;
  }
}

/// Copies the file's bytes up to the piece's end.
FollowPump::Step FollowPump::copy(int pipe) {
  if (!file_) return Step::kNothing;
  Step step = Step::kNothing;
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const auto wanted = std::min<std::uint64_t>(buffer.size(), piece_end() - position_);
    const std::size_t got =
        wanted == 0 ? 0 : read_at(file_.get(), offset_, std::span(buffer).first(wanted), path_);
    if (got == 0) return step;
    const std::string_view bytes(buffer.data(), got);
    recent_.add(position_, bytes);
    position_ += got;
    offset_ += got;
    if (!write_all(pipe, bytes)) return Step::kReaderGone;
    step = Step::kMoved;
  }
}

/// At the file's end: checks whether there is more to read in another file.
FollowPump::Step FollowPump::move_on() {
  if (!is_last()) {  // pieces that were read before
    const std::uint64_t missing = piece_end() - position_;
    if (missing > 0) lose(missing);
    open_piece(index_ + 1, position_);
    return Step::kMoved;
  }
  const auto current = file_ ? generation_of(file_.get()) : std::nullopt;
  const auto named = generation_at(path_);
  if (current && !named) return Step::kNothing;
  if (current && named->identity == current->identity) {
    const bool truncated = named->size < offset_;
    return truncated && start_piece(*named, 0) ? Step::kMoved : Step::kNothing;
  }
  return move_to_newer();
}

FollowPump::Step FollowPump::move_to_newer() {
  const auto newer = newer_generation();
  // Programs write to the old file until they are told to reopen. The first byte in the new file shows that
  // they did.
  if (!newer || (file_ && newer->size == 0)) return Step::kNothing;
  if (file_ && !std::exchange(drained_, true)) return Step::kMoved;  // once more, for bytes written meanwhile
  return start_piece(*newer, offset_in(*newer)) ? Step::kMoved : Step::kNothing;
}

/// The generation after the one that was read last: there may have been several rotations.
std::optional<Generation> FollowPump::newer_generation() const {
  std::vector<Generation> all = generations_of(path_);
  const auto is_last_read = [&](const Generation& generation) {
    return !pieces_.empty() && generation.identity == pieces_.back().file;
  };
  const auto last = std::find_if(all.begin(), all.end(), is_last_read);
  for (auto other = last == all.end() ? all.begin() : last; other != all.end(); ++other) {
    if (other->path == path_) return std::move(*other);
    if (pieces_.empty() || other->size == 0) continue;
    // If that one is gone, creation times decide; without them only FILE itself is certain to be newer.
    const bool newer = last != all.end() ||
                       (pieces_.back().file.born != 0 && other->identity.born >= pieces_.back().file.born);
    const bool known = std::any_of(pieces_.begin(), pieces_.end(),
                                   [&](const FilePiece& piece) { return piece.file == other->identity; });
    if (newer && !known) return std::move(*other);
  }
  return std::nullopt;
}

/// The offset at which to continue in a file that was read before and has its old name again.
std::uint64_t FollowPump::offset_in(const Generation& generation) const {
  for (std::size_t i = pieces_.size(); i-- > 0;) {
    if (!(pieces_[i].file == generation.identity)) continue;
    const std::int64_t end =
        i + 1 < pieces_.size() ? pieces_[i + 1].document : static_cast<std::int64_t>(position_);
    const std::uint64_t offset = pieces_[i].offset + static_cast<std::uint64_t>(end - pieces_[i].document);
    return offset <= generation.size ? offset : 0;
  }
  return 0;
}

bool FollowPump::start_piece(const Generation& generation, std::uint64_t offset) {
  if (!open_file(generation)) return false;
  const std::lock_guard lock(pieces_mutex_);
  pieces_.push_back({static_cast<std::int64_t>(position_), generation.identity, offset});
  if (pieces_.size() > kKeptPieces) pieces_.erase(pieces_.begin());
  index_ = pieces_.size() - 1;
  offset_ = offset;
  hooks_.remember(pieces_);
  return true;
}

/// Continues in a known piece; if its bytes are gone, without a file and with a note.
bool FollowPump::open_piece(std::size_t index, std::uint64_t from) {
  index_ = index;
  position_ = from;
  file_.reset();
  const FilePiece& piece = pieces_[index];
  const std::int64_t within = static_cast<std::int64_t>(from) - piece.document;
  offset_ = piece.offset + static_cast<std::uint64_t>(std::max<std::int64_t>(within, 0));
  const bool reachable = within >= 0 && !is_overwritten(index);
  for (const Generation& generation : generations_of(path_)) {
    if (!reachable || !(generation.identity == piece.file)) continue;
    if (is_last() && generation.size < offset_) {
      hooks_.note(path_.string() +
                  " was truncated in the meantime; what was written to it before that is lost");
      return start_piece(generation, 0);
    }
    return open_file(generation);
  }
  if (is_last()) lose(0);
  return false;
}

/// The document continues without some of its bytes; if their number is known, later pieces are moved.
void FollowPump::lose(std::uint64_t known_bytes) {
  const std::string what = known_bytes > 0 ? std::to_string(known_bytes) + " bytes" : "the last bytes";
  hooks_.note(what + " written to " + path_.string() +
              " are lost: the file was removed, truncated or compressed; reading continues after them");
  const std::lock_guard lock(pieces_mutex_);
  for (std::size_t i = index_ + 1; i < pieces_.size(); ++i)
    pieces_[i].document -= static_cast<std::int64_t>(known_bytes);
  hooks_.remember(pieces_);
}

bool FollowPump::open_file(const Generation& generation) {
  UniqueFd file(::open(generation.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno != ENOENT && !std::exchange(refused_, true))
    hooks_.note(system_message("cannot read " + generation.path.string(), errno) +
                "; change its permissions; it will be tried again");
  const auto opened = file ? generation_of(file.get()) : std::nullopt;
  if (!opened || !(opened->identity == generation.identity)) return false;
  refuse_wide_text(file.get(), generation.path);
  file_ = std::move(file);
  drained_ = refused_ = false;
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));  // without the earlier file's watch
  return true;
}

/// The same file was truncated: reads it again from its start.
bool FollowPump::is_overwritten(std::size_t index) const {
  return std::any_of(pieces_.begin() + static_cast<std::ptrdiff_t>(index) + 1, pieces_.end(),
                     [&](const FilePiece& later) {
                       return later.file == pieces_[index].file && later.offset <= pieces_[index].offset;
                     });
}

std::uint64_t FollowPump::piece_end() const {
  return is_last() ? UINT64_MAX : static_cast<std::uint64_t>(pieces_[index_ + 1].document);
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

std::string FollowPump::text(std::uint64_t begin, std::uint64_t end) {
  if (std::string recent = recent_.text(begin, end); !recent.empty() || begin == end) return recent;
  const std::lock_guard lock(pieces_mutex_);
  std::string text;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const FilePiece& piece = pieces_[i];
    const auto from = std::max(static_cast<std::int64_t>(begin + text.size()), piece.document);
    auto to = static_cast<std::int64_t>(end);
    if (i + 1 < pieces_.size()) to = std::min(to, pieces_[i + 1].document);
    if (from >= to || is_overwritten(i)) continue;
    for (const Generation& generation : generations_of(path_)) {
      if (!(generation.identity == piece.file)) continue;
      const UniqueFd file(::open(generation.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      std::string part(static_cast<std::size_t>(to - from), '\0');
      const auto offset = piece.offset + static_cast<std::uint64_t>(from - piece.document);
      part.resize(file ? read_at(file.get(), offset, part, path_) : 0);
      text += part;
    }
  }
  return text;
}

}  // namespace unroll
