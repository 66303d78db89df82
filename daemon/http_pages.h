// What GET shows of the daemon: health, metrics, lists and the description of HTTP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/context.h"
#include "daemon/http_query.h"

namespace unroll {

struct PageContent {
  unsigned status = 200;
  std::string_view type;
  std::string body;
};

struct Page {
  std::string_view path;
  /// As the user `owner` may see it. Throws Error.
  PageContent (*make)(const ServerContext& context, std::uint32_t owner, const Target& target);
  bool takes_long = false;  ///< Not to be made on the I/O thread; `make` is then thread-safe.
  bool is_public = false;   ///< Needs no token: it says nothing of users and documents.
};

/// Null: there is none.
const Page* find_page(std::string_view path);

}  // namespace unroll
