// Results of other threads, brought to the I/O thread.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace unroll {

/// For any thread, to be called once. `done` is called and destroyed on the thread of `io`, where what it
/// holds must end, such as a connection.
template <typename... Arguments>
std::function<void(Arguments...)> on_io_thread(boost::asio::io_context& io,
                                               std::function<void(Arguments...)> done) {
  const auto held = std::make_shared<std::function<void(Arguments...)>>(std::move(done));
  return [&io, held](Arguments... arguments) {
    boost::asio::post(io, [done = std::exchange(*held, nullptr), ... arguments = std::move(arguments)] {
      if (done) done(arguments...);
    });
  };
}

}  // namespace unroll
