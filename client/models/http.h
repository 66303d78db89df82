// HTTP by libcurl: pages, and large files that go on where they stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace unroll {

/// So many bytes are there, of so many. What it throws ends the transfer.
using TransferProgress = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

struct HttpPage {
  std::string body, type;
  std::string url;  ///< After redirections; links on the page count from here.
};

/// One thread. Everything throws std::runtime_error that names the address, without a password in it.
class Http {
 public:
  /// `certificates`: of authorities, a file or a folder; empty: the system's. `proxy`: empty: as the usual
  /// variables say.
  Http(const std::filesystem::path& certificates, const std::string& proxy);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// A page of 32 MiB at most.
  HttpPage get(const std::string& url, const std::string& accept);

  /// Until `file` has `total` bytes; those that it has already are not transferred again. When the connection
  /// is lost, tries again a few times. What is there is kept when it fails.
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

/// The link, as it stands on the page at `base`, as an address. Throws std::runtime_error.
std::string resolve_url(const std::string& base, const std::string& link);

/// For messages.
std::string without_password(const std::string& url);

}  // namespace unroll
