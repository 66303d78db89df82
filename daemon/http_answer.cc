#include "daemon/http_answer.h"

#include <array>
#include <cstdio>
#include <sstream>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

namespace unroll {
namespace {

namespace http = boost::beast::http;

constexpr unsigned kTooLarge = 413, kTooManyRequests = 429, kClientClosed = 499, kUnavailable = 503;
/// Seconds to wait before trying again.
constexpr std::string_view kRetryAfter = "Retry-After: 5\r\n";

std::string reason_of(unsigned status) {
  if (status == kClientClosed) return "Client Closed Request";  // nginx's status, unknown to Beast
  const auto reason = http::obsolete_reason(http::int_to_status(status));
  return {reason.data(), reason.size()};
}

}  // namespace

unsigned http_status(const Error& error) {
  const auto* limit = dynamic_cast<const LimitError*>(&error);
  if (limit == nullptr) return static_cast<unsigned>(error_entry(error.code).http_status);
  if (limit->key == "limits.document_bytes") return kTooLarge;
  const std::string_view key = limit->key;
  return key.ends_with("_per_user") || key.ends_with("_per_connection") ? kTooManyRequests : kUnavailable;
}

std::string HttpAnswer::whole(unsigned status, std::string_view content_type, std::string_view body,
                              std::string_view fields) const {
  std::string text = chunked ? "HTTP/1.1 " : "HTTP/1.0 ";
  text += std::to_string(status) + " " + reason_of(status) + "\r\nServer: unrolld/" UNROLL_VERSION "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text.append("Content-Type: ").append(content_type).append("\r\n").append(fields);
  if (status == kTooManyRequests || status == kUnavailable) text += kRetryAfter;
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text.append(body);
}

std::string HttpAnswer::error(const Error& error, std::optional<unsigned> status,
                              std::string_view fields) const {
  return whole(status.value_or(http_status(error)), "application/json",
               dump_json({{"error", error_to_json(error)}}) + "\n", fields);
}

std::string HttpAnswer::head(std::string_view fields, std::string_view content_type) const {
  std::string text = chunked ? "HTTP/1.1" : "HTTP/1.0";
  text += " 200 OK\r\nServer: unrolld/" UNROLL_VERSION "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text.append("Content-Type: ").append(content_type).append("\r\n").append(fields);
  if (chunked) text += "Transfer-Encoding: chunked\r\n";
  return text + "\r\n";
}

std::string HttpAnswer::line(std::string_view text) const {
  if (!chunked) return std::string(text);
  std::array<char, 24> size{};
  const int digits = std::snprintf(size.data(), size.size(), "%zx\r\n", text.size());
  return std::string(size.data(), static_cast<std::size_t>(digits)).append(text).append("\r\n");
}

std::string HttpAnswer::end() const {
  return chunked ? "0\r\n\r\n" : "";
}

}  // namespace unroll
