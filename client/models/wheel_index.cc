#include "client/models/wheel_index.h"

#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/strict_json.h"

namespace unroll {
namespace {

constexpr const char* kAccept =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// The last part of a link's path, without query and fragment.
std::string_view file_of(std::string_view link) {
  link = link.substr(0, link.find_first_of("?#"));
  return link.substr(link.rfind('/') + 1);
}

std::string find_in_json(const HttpPage& page, const std::string& file) {
  const auto json = parse_strict_json(page.body, {.depth = 8});
  const auto files = json.is_object() ? json.find("files") : json.end();
  if (files == json.end() || !files->is_array()) throw std::runtime_error("is not an index's list of files");
  for (const auto& entry : *files) {
    if (!entry.is_object() || entry.value("filename", nlohmann::json()) != file) continue;
    const auto url = entry.find("url");
    if (url != entry.end() && url->is_string()) return resolve_url(page.url, url->get<std::string>());
  }
  return "";
}

std::string find_in_html(const HttpPage& page, const std::string& file) {
  constexpr std::string_view kLink = "href=";
  const std::string_view body = page.body;
  for (auto at = body.find(kLink); at != std::string_view::npos; at = body.find(kLink, at + 1)) {
    auto rest = body.substr(at + kLink.size());
    if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) continue;
    const auto link = rest.substr(1, rest.find(rest.front(), 1) - 1);
    if (file_of(link) == file) return resolve_url(page.url, std::string(link));
  }
  return "";
}

}  // namespace

std::string find_on_page(const HttpPage& page, const std::string& file) {
  return page.type.find("json") != std::string::npos ? find_in_json(page, file) : find_in_html(page, file);
}

std::string find_on_index(Http& http, const std::string& index, const std::string& package,
                          const std::string& file) {
  const auto page = http.get(index + (index.ends_with('/') ? "" : "/") + package + "/", kAccept);
  std::string url;
  try {
    url = find_on_page(page, file);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(without_password(page.url) + ": " + error.what());
  }
  if (url.empty()) throw std::runtime_error(without_password(page.url) + ": has no " + file);
  return url;
}

}  // namespace unroll
