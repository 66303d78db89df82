#include "client/models/http.h"

#include <cerrno>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "base/write_all.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestPage = 32 << 20;
constexpr long kConnectSeconds = 30;
constexpr long kStallSeconds = 60;  // without receiving a byte
constexpr int kAttempts = 5;        // consecutive attempts without a new byte
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
constexpr long kTooManyRequests = 429, kServerErrors = 500;

using Clock = std::chrono::steady_clock;

/// A failure after which the same request may succeed.
bool may_pass(CURLcode code, long status) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    case CURLE_HTTP_RETURNED_ERROR:
      return status >= kServerErrors || status == kTooManyRequests;
    default:
      return false;
  }
}

struct FreeUrl {
  void operator()(CURLU* url) const { ::curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string text_of(CURLU* url) {
  char* text = nullptr;
  if (::curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK) return "";
  const std::unique_ptr<char, void (*)(void*)> owner(text, ::curl_free);
  return text;
}

}  // namespace

/// The destination of the bytes, and why they stopped.
struct Http::Transfer {
  virtual ~Transfer() = default;
  virtual void take(std::string_view bytes) = 0;

  std::string accept;
  std::uint64_t resume_from = 0;
  long status = 0;
  std::exception_ptr failure;  // thrown by take()

  static std::size_t write(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      transfer.take({data, size * count});
      return size * count;
    } catch (...) {
      transfer.failure = std::current_exception();
      return 0;  // ends the transfer
    }
  }
};

void Http::Close::operator()(void* handle) const {
  ::curl_easy_cleanup(handle);
}

Http::Http(const fs::path& certificates, const std::string& proxy)
    : certificates_(certificates), proxy_(proxy) {
  ::curl_global_init(CURL_GLOBAL_DEFAULT);
  handle_.reset(::curl_easy_init());
  if (!handle_) throw std::runtime_error("libcurl cannot be started; reinstall it");
}

Http::~Http() = default;

int Http::perform(const std::string& url, Transfer& transfer) {
  CURL* handle = handle_.get();
  ::curl_easy_reset(handle);
  ::curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  ::curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
  ::curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
  ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "unroll/" UNROLL_VERSION);
  ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::write);
  ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  ::curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.resume_from));
  std::error_code ignored;
  if (!certificates_.empty())
    ::curl_easy_setopt(handle, fs::is_directory(certificates_, ignored) ? CURLOPT_CAPATH : CURLOPT_CAINFO,
                       certificates_.c_str());
  if (!proxy_.empty()) ::curl_easy_setopt(handle, CURLOPT_PROXY, proxy_.c_str());
  curl_slist* headers = nullptr;
  if (!transfer.accept.empty())
    headers = ::curl_slist_append(headers, ("Accept: " + transfer.accept).c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owner(headers, ::curl_slist_free_all);
  ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);

  transfer.failure = nullptr;
  const CURLcode code = ::curl_easy_perform(handle);
  ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.status);
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  return code;
}

void Http::fail(const std::string& url, int code, long status) {
  const std::string reason = code == CURLE_HTTP_RETURNED_ERROR
                                 ? "the server answers with status " + std::to_string(status)
                                 : std::string(::curl_easy_strerror(static_cast<CURLcode>(code)));
  throw std::runtime_error(without_password(url) + ": cannot be fetched: " + reason);
}

HttpPage Http::get(const std::string& url, const std::string& accept) {
  struct Page final : Transfer {
    void take(std::string_view bytes) override {
      if (body.size() + bytes.size() > kLargestPage)
        throw std::runtime_error("the page is larger than 32 MiB");
      body += bytes;
    }
    std::string body;
  } page;
  page.accept = accept;
  const auto code = static_cast<CURLcode>(perform(url, page));
  if (code != CURLE_OK) fail(url, code, page.status);
  const char *type = nullptr, *last = nullptr;
  ::curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_TYPE, &type);
  ::curl_easy_getinfo(handle_.get(), CURLINFO_EFFECTIVE_URL, &last);
  return {std::move(page.body), type ? type : "", last ? last : url};
}

void Http::download(const std::string& url, const fs::path& file, std::uint64_t total,
                    const TransferProgress& progress) {
  struct File final : Transfer {
    void take(std::string_view bytes) override {
      if (size + bytes.size() > total)
        throw std::runtime_error("the file on the server is larger than the " + std::to_string(total) +
                                 " bytes that it should have");
      if (!write_all(descriptor.get(), bytes))
        throw std::system_error(errno, std::generic_category(), path.string());
      size += bytes.size();
      if (Clock::now() - reported < kProgressInterval) return;
      reported = Clock::now();
      (*progress)(size, total);
    }
    fs::path path;
    UniqueFd descriptor;
    std::uint64_t size = 0, total = 0;
    const TransferProgress* progress = nullptr;
    Clock::time_point reported{};
  } to;
  to.path = file;
  to.descriptor.reset(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!to.descriptor) throw std::system_error(errno, std::generic_category(), file.string());
  to.size = fs::file_size(file);
  to.total = total;
  to.progress = &progress;
  progress(to.size, total);
  for (int attempt = 0; to.size < total;) {
    to.resume_from = to.size;
    const auto code = static_cast<CURLcode>(perform(url, to));
    if (code == CURLE_RANGE_ERROR && to.resume_from > 0) {  // the server only sends whole files
      if (::ftruncate(to.descriptor.get(), 0) != 0)
        throw std::system_error(errno, std::generic_category(), file.string());
      to.size = 0;
      continue;
    }
    if (code == CURLE_OK && to.size < total)
      throw std::runtime_error(without_password(url) + ": has " + std::to_string(to.size) + " bytes, not " +
                               std::to_string(total));
    if (code == CURLE_OK) break;
    if (to.size > to.resume_from) attempt = 0;
    if (!may_pass(code, to.status) || ++attempt == kAttempts) fail(url, code, to.status);
    std::this_thread::sleep_for(std::chrono::seconds(attempt - 1));
  }
  progress(to.size, total);
}

std::string resolve_url(const std::string& base, const std::string& link) {
  const Url url(::curl_url());
  if (!url || ::curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      ::curl_url_set(url.get(), CURLUPART_URL, link.c_str(), 0) != CURLUE_OK)
    throw std::runtime_error(without_password(base) + ": has a link that is not an address");
  return text_of(url.get());
}

std::string without_password(const std::string& url) {
  const Url parsed(::curl_url());
  if (!parsed || ::curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return "the address";
  ::curl_url_set(parsed.get(), CURLUPART_USER, nullptr, 0);
  ::curl_url_set(parsed.get(), CURLUPART_PASSWORD, nullptr, 0);
  return text_of(parsed.get());
}

}  // namespace unroll
