// A server of a few files over HTTP, on a port of this machine, that can lose connections and ignore ranges.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace unroll::test {

class FileServer {
 public:
  struct File {
    std::string body, type = "application/octet-stream";
  };

  FileServer() : thread_([this] { serve(); }) {}
  ~FileServer() {
    stopping_ = true;
    boost::asio::ip::tcp::socket wake(context_);
    boost::system::error_code ignored;
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

  // Set these between requests.
  std::map<std::string, File> files;  ///< By path.
  bool ranges = true;
  std::vector<std::size_t>
      cuts;  ///< For the next responses: the number of bytes of a body after which it hangs up.

  /// "GET /path 7-": includes the requested range.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;

  void serve() {
    for (;;) {
      Socket socket(context_);
      acceptor_.accept(socket);
      if (stopping_) return;
      boost::system::error_code ignored;
      answer(socket, ignored);
      socket.shutdown(Socket::shutdown_both, ignored);
    }
  }

  void answer(Socket& socket, boost::system::error_code& failed) {
    boost::beast::flat_buffer buffer;
    boost::beast::http::request<boost::beast::http::empty_body> request;
    boost::beast::http::read(socket, buffer, request, failed);
    if (failed) return;
    const std::string path(request.target()), range(request["Range"]);
    std::size_t from = 0;
    if (ranges && !range.empty()) from = std::stoul(range.substr(range.find('=') + 1));
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back("GET " + path + (range.empty() ? "" : " " + range.substr(range.find('=') + 1)));
    }
    const auto found = files.find(path);
    if (found == files.end()) {
      send(socket, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", failed);
      return;
    }
    const auto& [body, type] = found->second;
    const auto rest = body.substr(std::min(from, body.size()));
    std::string head = from > 0 ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " +
                                      std::to_string(from) + "-" + std::to_string(body.size() - 1) + "/" +
                                      std::to_string(body.size()) + "\r\n"
                                : "HTTP/1.1 200 OK\r\n";
    head += "Content-Type: " + type +
            "\r\nConnection: close\r\nContent-Length: " + std::to_string(rest.size()) + "\r\n\r\n";
    auto sent = rest;
    if (type == File().type && !cuts.empty()) {
      sent.resize(std::min(sent.size(), cuts.front()));
      cuts.erase(cuts.begin());
    }
    send(socket, head + sent, failed);
  }

  static void send(Socket& socket, const std::string& bytes, boost::system::error_code& failed) {
    boost::asio::write(socket, boost::asio::buffer(bytes), failed);
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_{context_, {boost::asio::ip::make_address("127.0.0.1"), 0}};
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;  // last: the other members exist before it runs
};

}  // namespace unroll::test
