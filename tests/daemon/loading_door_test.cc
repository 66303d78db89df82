// What clients see while the daemon loads its model.
#include "daemon/loading_door.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor_passing.h"

namespace unroll {
namespace {

constexpr std::string_view kPing =
    R"({"jsonrpc":"2.0","id":7,"method":"server.ping","params":{"loading":true}})"
    "\n";

class LoadingDoorTest : public testing::Test {
 protected:
  LoadingDoorTest() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sun_family = AF_UNIX;  // the kernel chooses a name
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_.sun_family), 0);
    size_ = sizeof address_;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size_);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
  }
  UniqueFd client() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address_), size_), 0);
    return socket;
  }
  static void send(const UniqueFd& socket, std::string_view bytes, std::span<const int> descriptors = {}) {
    EXPECT_EQ(send_with_descriptors(socket.get(), bytes, descriptors), static_cast<ssize_t>(bytes.size()));
  }
  /// The next bytes; nullopt if none come in this time.
  static std::optional<std::string> received(const UniqueFd& socket, int milliseconds = 10'000) {
    pollfd polled{socket.get(), POLLIN, 0};
    if (::poll(&polled, 1, milliseconds) == 0) return std::nullopt;
    std::string bytes(1000, '\0');
    const auto count = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return bytes;
  }

  const UniqueFd listener_;
  sockaddr_un address_{};
  socklen_t size_ = 0;
};

TEST_F(LoadingDoorTest, PingsAreAnsweredAndRequestsWaitForTheServer) {
  LoadingDoor door(listener_.get());
  const auto first = client();
  const auto second = client();
  const auto leaving = client();
  send(first, kPing);
  EXPECT_EQ(received(first), R"({"id":7,"jsonrpc":"2.0","result":{}})"
                             "\n");
  send(first, kPing);
  EXPECT_TRUE(received(first)) << "again";
  const std::string request = R"({"jsonrpc":"2.0","id":1,"method":"server.info"})"
                              "\n";
  send(second, request + std::string(kPing));
  const auto third = client();
  const std::string plain = R"({"jsonrpc":"2.0","id":2,"method":"server.ping"})"
                            "\n";
  send(third, plain);
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto passing = client();
  send(passing, kPing, std::array{file.get()});
  send(leaving, kPing);
  EXPECT_TRUE(received(leaving)) << "those before were looked at";
  ::shutdown(leaving.get(), SHUT_RDWR);
  const auto last = client();
  send(last, kPing);
  EXPECT_TRUE(received(last)) << "the one before has left";
  EXPECT_FALSE(received(second, 0)) << "answers come in the order of requests";
  EXPECT_FALSE(received(third, 0)) << "it asks whether the daemon serves";
  EXPECT_FALSE(received(passing, 0)) << "descriptors are not taken here";

  const auto waiting = door.close();
  ASSERT_EQ(waiting.size(), 5u);
  EXPECT_EQ(received(waiting[1]), request + std::string(kPing));
  EXPECT_EQ(received(waiting[2]), plain);
  EXPECT_EQ(received(waiting[3]), kPing);
  EXPECT_FALSE(received(waiting[0], 0)) << "what was answered is not there any more";
  const auto next = client();  // for the server
  EXPECT_EQ(UniqueFd(::accept(listener_.get(), nullptr, nullptr)).get() >= 0, true);
}

}  // namespace
}  // namespace unroll
