// Accepts connections while the first model is loaded, which may take minutes. It answers server.ping with
// `loading`, so that clients know that the daemon is alive and wait for it. All other requests stay unread
// until the server serves their connections.
#pragma once

#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace unroll {

/// Has a thread of its own.
class LoadingDoor {
 public:
  /// Connections beyond this number wait in the socket's queue, where pings are not answered.
  static constexpr std::size_t kMost = 256;

  /// `listener`: a listening socket, which the caller keeps open while this exists.
  explicit LoadingDoor(int listener);
  ~LoadingDoor();
  LoadingDoor(const LoadingDoor&) = delete;
  LoadingDoor& operator=(const LoadingDoor&) = delete;

  /// Ends the thread, and returns the connections that wait to be served, in their order.
  std::vector<UniqueFd> close();

 private:
  struct Guest {
    UniqueFd socket;
    bool waits = false;  ///< For the server: it has sent something that is no ping.
  };
  void run();
  bool serve(Guest& guest);

  const int listener_;
  UniqueFd stop_;  // an eventfd
  std::vector<Guest> guests_;
  std::thread thread_;
};

}  // namespace unroll
