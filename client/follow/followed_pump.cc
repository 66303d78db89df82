#include "client/follow/followed_pump.h"

#include <algorithm>
#include <utility>

#include "base/write_all.h"

namespace unroll {

std::uint64_t FollowedPump::begin(std::uint64_t from) {
  if (from < kept_.begin()) throw DocumentLost("byte " + std::to_string(from) + " is no longer kept");
  const std::uint64_t begin = std::min(from, kept_.end());
  again_ = kept_.text(begin, kept_.end());
  // After a power cut the engine may know more than was kept: the rest is read from the source again.
  const std::uint64_t missing = from - begin;
  if (!open(missing) && missing > 0)
    throw DocumentLost("byte " + std::to_string(begin) + " was not kept and cannot be read again");
  return begin;
}

void FollowedPump::run(int pipe, int stop) {
  if (write_all(pipe, std::exchange(again_, {}))) follow(pipe, stop);
}

bool FollowedPump::send(int pipe, std::string_view bytes, nlohmann::json place) {
  kept_.add(bytes, std::move(place));
  return write_all(pipe, bytes);
}

}  // namespace unroll
