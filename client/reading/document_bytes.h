// A source's bytes by document offset, with the last bytes kept for sending again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/sources/source.h"

namespace unroll {

/// A reader may accept bytes and lose them before they are committed. They must then be sent again, so the
/// last bytes are kept.
class DocumentBytes {
 public:
  DocumentBytes(Source& source, std::size_t kept) : source_(source), kept_limit_(kept) {}
  /// Continues at that offset of the document. Throws CommandError if it is too far back.
  void go_to(std::uint64_t offset);
  /// Whether next() will not block. Does not poll the source's descriptor.
  bool ready() const { return position_ < end() || ended_; }
  /// The next bytes, at most `limit`; empty if there are none yet, nullopt at the document's end.
  std::optional<std::string> next(std::size_t limit);

 private:
  std::uint64_t end() const { return begin_ + bytes_.size(); }

  Source& source_;
  std::size_t kept_limit_;
  bool begun_ = false, ended_ = false;
  std::string bytes_;           ///< The last bytes read.
  std::uint64_t begin_ = 0;     ///< Document offset of bytes_.
  std::uint64_t position_ = 0;  ///< Document offset of next().
};

}  // namespace unroll
