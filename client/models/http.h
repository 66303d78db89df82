// HTTP with libcurl: pages, and large files that resume where they stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace unroll {

/// Called with the bytes transferred and the total. An exception ends the transfer.
using TransferProgress = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

struct HttpPage {
  std::string body, type;
  std::string url;  ///< After redirections; base of the page's links.
};

/// One thread. All members throw std::runtime_error, which names the address without its password.
class Http {
 public:
  /// `certificates`: file or folder of certificate authorities; empty: the system's. `proxy`: empty: from the
  /// usual environment variables.
  Http(const std::filesystem::path& certificates, const std::string& proxy);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// Fetches a page of at most 32 MiB.
  HttpPage get(const std::string& url, const std::string& accept);

  /// Transfers until `file` has `total` bytes, without those that it already has. If the connection is lost,
  /// tries again a few times. After a failure, the bytes so far are kept.
  void download(const std::string& url, const std::filesystem::path& file, std::uint64_t total,
                const TransferProgress& progress);

 private:
  struct Transfer;
  int perform(const std::string& url, Transfer& transfer);
  [[noreturn]] static void fail(const std::string& url, int code, long status);

  struct Close {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Close> handle_;
  std::filesystem::path certificates_;
  std::string proxy_;
};

/// Converts a link on the page at `base` to an address. Throws std::runtime_error.
std::string resolve_url(const std::string& base, const std::string& link);

/// For messages.
std::string without_password(const std::string& url);

}  // namespace unroll
