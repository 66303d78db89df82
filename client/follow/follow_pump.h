// Follows a growing file as one endless document, across rotation by rename, compression, removal, or copy
// and truncation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "client/follow/file_generations.h"
#include "client/follow/followed_pump.h"
#include "client/sources/log_text.h"
#include "client/sources/source.h"

namespace unroll {

/// A file, and how far it was read.
struct FileMark {
  FileIdentity file;
  std::uint64_t offset = 0;
  /// By its first bytes it is recognized when it was compressed, and something else when it was overwritten.
  std::uint64_t head_bytes = 0;
  std::string head;            ///< A hash.
  std::uint64_t modified = 0;  ///< When it was last written before it was read, in nanoseconds; 0 if unknown.
};

/// The file that is read, and those before it, the newest last.
struct FilePlace {
  FileMark now;
  std::vector<FileMark> before;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FileMark, file, offset, head_bytes, head, modified)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FilePlace, now, before)

struct FollowedFile {
  std::filesystem::path path;
  std::string encoding;  ///< As of LogText.
  bool at_end = false;   ///< The first time, skip what the file already holds.
  /// If given, it tells whether all that there is was read and kept.
  std::shared_ptr<std::atomic<bool>> drained = {};
};

/// The document is the file's text as LogText makes it, whole lines.
class FollowPump : public FollowedPump {
 public:
  /// Throws CommandError.
  FollowPump(FollowedFile file, KeptText& kept, Note note);

 private:
  enum class Step { kReaderGone, kMoved, kNothing };

  bool open(std::uint64_t missing) override;
  void follow(int pipe, int stop) override;
  bool go_on(std::uint64_t missing);
  Step copy(int pipe);
  std::string read_rest();
  bool take(int pipe, std::string_view bytes);
  Step move_on();
  Step move_to_newer();
  std::optional<Generation> newer_generation() const;
  std::optional<Generation> newer_plain() const;
  std::optional<Generation> newer_compressed() const;
  bool was_read(const Generation& generation) const;
  std::uint64_t offset_in(const Generation& generation) const;
  bool start(const Generation& generation, std::uint64_t offset);
  bool open_file(const Generation& generation);
  void begin_text();
  bool open_compressed();
  bool open_rest(const std::filesystem::path& compressed, const FileMark& mark);
  bool is_overwritten() const;
  void mark(std::string_view bytes);
  void mark_head();
  void watch();
  bool wait(int pipe, int stop);

  const FollowedFile options_;
  const std::filesystem::path path_;
  std::optional<FilePlace> place_;  ///< None before there was a file.
  UniqueFd file_;
  std::optional<Source> rest_;  ///< Of a compressed file; read instead of file_.
  std::uint64_t offset_ = 0;  ///< Of the file's next byte to read; text_ holds the incomplete line before it.
  std::unique_ptr<LogText> text_;
  bool drained_ = false;  ///< The file was read to its end after a newer one had appeared.
  bool refused_ = false;  ///< The note that the file cannot be opened was given.
  UniqueFd inotify_;
};

}  // namespace unroll
