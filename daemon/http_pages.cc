#include "daemon/http_pages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/metrics.h"
#include "daemon/openapi.h"
#include "daemon/params.h"
#include "daemon/server_info.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

PageContent as_json(const json& value) {
  return {200, "application/json", dump_json(value) + "\n"};
}

/// `fault` is empty if there is none.
PageContent health(std::string fault) {
  const bool good = fault.empty();
  return {good ? 200u : 503u, "text/plain; charset=utf-8", (good ? "ok" : std::move(fault)) + "\n"};
}

PageContent documents(const ServerContext& context, std::uint32_t owner, const Target& target) {
  const json options = options_of(target, "");
  const Params params("GET /v1/documents", options, {"limit"});
  const auto limit = params.optional_integer("limit", 1, kMaxListed).value_or(kDefaultListed);
  return as_json(documents_to_json(
      context.engine.list({.owner = owner, .limit = static_cast<std::size_t>(limit)}), limit));
}

PageContent snapshots(const ServerContext& context, std::uint32_t owner, const Target& target) {
  const json options = options_of(target, "");
  const Params params("GET /v1/snapshots", options, {});
  return as_json(snapshots_to_json(context.engine.snapshots(owner)));
}

constexpr std::array kPages = {
    Page{"/healthz",
         [](const ServerContext& context, std::uint32_t, const Target&) {
           return health(ill_health(context));
         },
         false, true},
    Page{"/readyz",
         [](const ServerContext& context, std::uint32_t, const Target&) {
           return health(unreadiness(context));
         },
         false, true},
    Page{"/metrics",
         [](const ServerContext& context, std::uint32_t, const Target&) {
           return PageContent{200, "text/plain; version=0.0.4", metrics_text(context)};
         }},
    Page{"/openapi.json",
         [](const ServerContext&, std::uint32_t, const Target&) {
           return PageContent{200, "application/json", std::string(kOpenApi)};
         }},
    Page{"/v1/models", [](const ServerContext& context, std::uint32_t,
                          const Target&) { return as_json(api_models(context)); }},
    Page{"/v1/documents", documents, true},
    Page{"/v1/snapshots", snapshots, true},
};

}  // namespace

const Page* find_page(std::string_view path) {
  const auto page = std::ranges::find(kPages, path, &Page::path);
  return page == kPages.end() ? nullptr : &*page;
}

}  // namespace unroll
