// Posts events with libcurl.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include <curl/curl.h>

#include "client/follow/post/target.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr long kConnectSeconds = 10, kMostSeconds = 30;
constexpr long kSuccess = 200, kAfterSuccess = 300;

/// Statuses that speak of the event, not of the server: bad request, too large, not understood.
bool refuses_event(long status) {
  return status == 400 || status == 413 || status == 422;
}

std::string shown(const std::string& url) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(::curl_url(), ::curl_url_cleanup);
  if (!parsed || ::curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return "the webhook";
  // Paths hold secrets, too.
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_PATH, CURLUPART_QUERY})
    ::curl_url_set(parsed.get(), part, nullptr, 0);
  char* text = nullptr;
  if (::curl_url_get(parsed.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return "the webhook";
  const std::unique_ptr<char, void (*)(void*)> owner(text, ::curl_free);
  return "the webhook at " + std::string(text);
}

/// What the labels say identifies an alert, so the event's id is one.
json alertmanager_alerts(const json& event) {
  json alert;
  alert["labels"] = {{"alertname", "UnusualLogLine"},
                     {"severity", event.at("severity")},
                     {"source", event.at("source")},
                     {"instance", event.at("host")},
                     {"event", event.at("id")}};
  alert["annotations"] = {{"summary", event.at("text")},
                          {"line", std::to_string(event.at("line").get<std::uint64_t>())},
                          {"score", event.at("score").dump()}};
  alert["startsAt"] = event.at("seen");
  return json::array({alert});
}

std::size_t ignore(char* /*data*/, std::size_t size, std::size_t count, void* /*unused*/) {
  return size * count;
}

class Webhook : public Target {
 public:
  Webhook(const std::string& url, const std::string& format) : url_(url), format_(format), name_(shown(url)) {
    ::curl_global_init(CURL_GLOBAL_DEFAULT);
    handle_.reset(::curl_easy_init());
    if (!handle_) throw std::runtime_error("libcurl cannot be started; reinstall it");
  }

  const std::string& name() const override { return name_; }

  Delivery deliver(const json& event) override {
    CURL* handle = handle_.get();
    ::curl_easy_reset(handle);  // keeps the connection
    const std::string body = (format_ == "alertmanager" ? alertmanager_alerts(event) : event).dump();
    const std::string key = "Idempotency-Key: " + event.at("id").get<std::string>();
    curl_slist* headers = ::curl_slist_append(nullptr, "Content-Type: application/json");
    headers = ::curl_slist_append(headers, key.c_str());
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owner(headers, ::curl_slist_free_all);
    ::curl_easy_setopt(handle, CURLOPT_URL, url_.c_str());
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    ::curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "unroll/" UNROLL_VERSION);
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    ::curl_easy_setopt(handle, CURLOPT_TIMEOUT, kMostSeconds);
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &ignore);
    const CURLcode code = ::curl_easy_perform(handle);
    if (code != CURLE_OK) return {Delivery::Result::kTryAgain, ::curl_easy_strerror(code)};
    long status = 0;
    ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status >= kSuccess && status < kAfterSuccess) return {};
    return {refuses_event(status) ? Delivery::Result::kRefused : Delivery::Result::kTryAgain,
            "it answers with status " + std::to_string(status)};
  }

 private:
  const std::string url_, format_, name_;
  std::unique_ptr<CURL, void (*)(CURL*)> handle_{nullptr, ::curl_easy_cleanup};
};

}  // namespace

std::unique_ptr<Target> make_webhook(const std::string& url, const std::string& format) {
  return std::make_unique<Webhook>(url, format);
}

}  // namespace unroll
