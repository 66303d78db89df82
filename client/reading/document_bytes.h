// A source's bytes by their place in the document, and a little back again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/sources/source.h"

namespace unroll {

/// What whoever reads the document had accepted and lost before it was safe must be given once more: so the
/// last bytes are kept, as many as asked for.
class DocumentBytes {
 public:
  DocumentBytes(Source& source, std::size_t kept) : source_(source), kept_limit_(kept) {}
  /// Goes on at that offset of the document. Throws CommandError where it lies too far back.
  void go_to(std::uint64_t offset);
  /// next() will not wait, without a look at the source's descriptor.
  bool ready() const { return position_ < end() || ended_; }
  /// The next bytes, at most `limit`; none where more must be waited for, nullopt at the document's end.
  std::optional<std::string> next(std::size_t limit);

 private:
  std::uint64_t end() const { return begin_ + bytes_.size(); }

  Source& source_;
  std::size_t kept_limit_;
  bool begun_ = false, ended_ = false;
  std::string bytes_;           ///< The last that were read.
  std::uint64_t begin_ = 0;     ///< Where in the document they begin.
  std::uint64_t position_ = 0;  ///< Where next() goes on.
};

}  // namespace unroll
