// Whether a document's state is worth writing to the journal, or its last blocks are cheaper to read again: a
// state may take 12 MB, and a block a second on a CPU and milliseconds on a GPU. The engine measures what
// writing costs on this disk. One thread.
#pragma once

#include <cstddef>

namespace unroll {

class StateWrites {
 public:
  static constexpr double kShare = 0.03;  ///< Of the time that the document's blocks take, at most.
  static constexpr std::size_t kSmall = 256 * 1024;  ///< Costs little more than the commit that it is in.

  /// `bytes`: of the state. `seconds`: that the model took for the blocks since the last one was written.
  bool is_worth(std::size_t bytes, double seconds) const {
    return bytes <= kSmall || static_cast<double>(bytes) * seconds_per_byte_ <= seconds * kShare;
  }
  /// A commit with so many bytes of states took so long.
  void add(std::size_t bytes, double seconds) {
    if (bytes <= kSmall) return;
    seconds_per_byte_ += (seconds / static_cast<double>(bytes) - seconds_per_byte_) / 4;
  }

 private:
  double seconds_per_byte_ = 1e-8;  ///< 100 MB/s, until measured.
};

}  // namespace unroll
