// Follows a growing file as one endless document, across rotation by rename or by copy and truncation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "client/follow/file_generations.h"
#include "client/follow/followed_pump.h"

namespace unroll {

/// From byte `document` on, the document holds the file's bytes from `offset` on. `offset` can be negative if
/// the document was restarted in the middle of the file.
struct FilePiece {
  std::int64_t document = 0;
  FileIdentity file;
  std::uint64_t offset = 0;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FilePiece, document, file, offset)

class FollowPump : public FollowedPump {
 public:
  /// `pieces`: as last saved; empty the first time. `at_end`: the first time, skip what the file already
  /// holds.
  FollowPump(const std::filesystem::path& file, const nlohmann::json& pieces, bool at_end, Hooks hooks);

  void begin_anew(std::uint64_t offset) override;
  std::uint64_t begin(std::uint64_t from) override;
  void run(int pipe, int stop) override;
  std::string text(std::uint64_t begin, std::uint64_t end) override;

 private:
  enum class Step { kReaderGone, kMoved, kNothing };

  Step copy(int pipe);
  Step move_on();
  Step move_to_newer();
  std::optional<Generation> newer_generation() const;
  std::uint64_t offset_in(const Generation& generation) const;
  bool start_piece(const Generation& generation, std::uint64_t offset);
  bool open_piece(std::size_t index, std::uint64_t from);
  void lose(std::uint64_t known_bytes);
  bool open_file(const Generation& generation);
  bool is_overwritten(std::size_t index) const;
  bool is_last() const { return index_ + 1 >= pieces_.size(); }
  std::uint64_t piece_end() const;
  void watch();
  bool wait(int pipe, int stop);

  const std::filesystem::path path_;
  const bool at_end_;
  const Hooks hooks_;
  std::mutex pieces_mutex_;  ///< Held to change pieces_, and in text().
  std::vector<FilePiece> pieces_;
  std::size_t index_ = 0;  ///< The piece that is being read.
  UniqueFd file_;
  std::uint64_t position_ = 0;  ///< In the document.
  std::uint64_t offset_ = 0;    ///< In the file.
  bool drained_ = false;        ///< The file was read to its end after a newer one had appeared.
  bool refused_ = false;        ///< The note that the file cannot be opened was given.
  UniqueFd inotify_;
  RecentText recent_;
};

}  // namespace unroll
