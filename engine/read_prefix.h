// The digests of the bytes that were read of a document, by which they are recognized when it is resumed.
// Offsets count from the beginning of the first document of a chain of snapshots. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "engine/journal.h"

namespace unroll {

class ReadPrefix {
 public:
  /// Continues from a commit: `read` is the digest that was committed, the document begins at `begin`.
  void resume(const ResumePoint& point, PrefixDigest read, std::uint64_t begin);
  /// The next bytes. This and end() throw Error(kSource) if the bytes since resume() are not those that were
  /// read before.
  void take(std::string_view bytes);
  void end() const;
  /// Whether bytes that were read before resume() are still to come.
  bool is_checking() const { return check_.has_value(); }
  /// A resumed document is read again from `segment_begin` on.
  void advance(std::uint64_t segment_begin);
  /// Of the first `bytes` bytes. After a roll-back, and until what was read before has come again, the digest
  /// of the last commit.
  PrefixDigest digest(std::uint64_t bytes) const;
  void committed(PrefixDigest read) { read_ = std::move(read); }
  /// Of all bytes that have come; nullopt if those before a resume are not known.
  std::optional<PrefixDigest> all() const;
  /// The bytes from the segment's begin on.
  const std::string& tail() const { return tail_; }
  /// For ResumePoint::prefix.
  std::vector<std::byte> save() const;

 private:
  Error other_bytes() const;

  /// Of the bytes before end_, the begin of the first segment that is not done. Nullopt: not known.
  std::optional<Sha256> prefix_ = Sha256();
  std::uint64_t begin_ = 0, end_ = 0;
  std::string tail_;
  PrefixDigest read_;            ///< As committed.
  std::optional<Sha256> check_;  ///< Of the bytes covered by `read_` that have come.
  std::uint64_t unchecked_ = 0;  ///< How many of them are still to come.
};

}  // namespace unroll
