// The bytes of an HTTP/1.1 response: whole, or line by line in chunks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/protocol.h"

namespace unroll {

/// The form of the response to one request.
struct HttpAnswer {
  bool chunked = true;      ///< False for HTTP/1.0, where closing the connection ends the response.
  bool keep_alive = false;  ///< The connection accepts another request after this one.

  /// `fields`: further header fields, each with CRLF.
  std::string whole(unsigned status, std::string_view content_type, std::string_view body,
                    std::string_view fields = {}) const;
  /// {"error": ...} with the error's status, unless another one is given.
  std::string error(const Error& error, std::optional<unsigned> status = {},
                    std::string_view fields = {}) const;
  /// For a response in pieces, of lines if no other type is given.
  std::string head(std::string_view fields, std::string_view content_type = "application/x-ndjson") const;
  std::string line(std::string_view text) const;
  std::string end() const;
};

/// 413 for a document or request that is too long, 429 for a limit per user or connection, 503 for a limit
/// over all users; else the status in error_table().
unsigned http_status(const Error& error);

}  // namespace unroll
