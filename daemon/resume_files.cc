#include "daemon/resume_files.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "daemon/document_feed.h"
#include "daemon/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

struct SavedSource {
  FileLocation location;
  std::vector<PluginRequest> plugins;
};

/// Throws json::exception for what describe_source() did not write.
SavedSource read_source(const std::string& text) {
  const json value = json::parse(text);
  SavedSource source;
  source.location.path = base64_decode(value.at("path").get<std::string>()).value();
  value.at("device").get_to(source.location.device);
  value.at("inode").get_to(source.location.inode);
  value.at("birth").get_to(source.location.birth);
  value.at("generation").get_to(source.location.generation);
  for (const json& plugin : value.at("plugins")) {
    source.plugins.push_back({plugin.at("name").get<std::string>(), plugin.at("options")});
  }
  return source;
}

void resume_file(ServerContext& context, const DocumentStatus& document) {
  SavedSource saved = read_source(document.source);
  DocumentSource source = check_source(saved.location.open());
  if (context.engine.resume_point(document.id).resume_bytes > source.bytes.value_or(0)) {
    throw Error(ErrorCode::kSource, "'" + saved.location.path + "' is shorter than what was read of it");
  }
  DocumentRequest request;
  request.plugins = std::move(saved.plugins);
  request.owner = document.owner;
  request.total_bytes = source.bytes;
  request.resume = document.id;
  const Opened opened = context.engine.open(std::move(request), nullptr);
  DocumentFeed::start(context, std::move(source), opened.id, opened.resume_bytes);
  spdlog::info("document {} goes on at byte {} of '{}'", document.id, opened.resume_bytes,
               saved.location.path);
}

}  // namespace

std::string describe_source(const FileLocation& location, const std::vector<PluginRequest>& plugins) {
  json list = json::array();
  for (const PluginRequest& plugin : plugins) {
    list.push_back({{"name", plugin.name}, {"options", plugin.options}});
  }
  // A path may be any bytes, JSON only UTF-8.
  return dump_json({{"path", base64_encode(location.path)},
                    {"device", location.device},
                    {"inode", location.inode},
                    {"birth", location.birth},
                    {"generation", location.generation},
                    {"plugins", std::move(list)}});
}

void resume_files(ServerContext& context) {
  std::vector<DocumentStatus> documents = context.engine.list(std::nullopt);
  std::ranges::reverse(documents);  // oldest first, as they came
  for (const DocumentStatus& document : documents) {
    if (document.phase != DocumentPhase::kOpen || document.source.empty()) continue;
    try {
      resume_file(context, document);
    } catch (const std::exception& error) {
      spdlog::warn("document {} waits to be resumed by its client: {}", document.id, error.what());
    }
  }
}

}  // namespace unroll
