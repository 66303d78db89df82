// The bytes of an HTTP/1.1 answer: whole, or line by line in chunks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/protocol.h"

namespace unroll {

/// How one request is answered.
struct HttpAnswer {
  bool chunked = true;      ///< HTTP/1.0 has no chunks: there the end of the connection ends the answer.
  bool keep_alive = false;  ///< The connection takes another request after this.

  /// `fields`: further ones, each ended by CRLF.
  std::string whole(unsigned status, std::string_view content_type, std::string_view body,
                    std::string_view fields = {}) const;
  /// {"error": ...} with the status that belongs to it, unless another one is given.
  std::string error(const Error& error, std::optional<unsigned> status = {},
                    std::string_view fields = {}) const;
  /// Of an answer in lines.
  std::string head(std::string_view fields) const;
  std::string line(std::string_view text) const;
  std::string end() const;
};

/// 413 for what is too long by itself, 429 for what one user or connection has too much of, 503 for what all
/// have; else that of the error's row in error_table().
unsigned http_status(const Error& error);

}  // namespace unroll
