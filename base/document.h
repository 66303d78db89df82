// A document's id, status and outputs, as engine, protocol and clients exchange them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace unroll {

using DocumentId = std::string;

struct PluginRequest {
  std::string name;
  nlohmann::json options = nlohmann::json::object();
};

struct Output {
  std::uint64_t sequence = 0;  ///< From 0, counted over all plugins of the document.
  std::string plugin;
  std::string json;  ///< Compact JSON text.
};

enum class DocumentPhase { kOpen, kDone, kFailed };

struct DocumentStatus {
  DocumentId id;
  std::string name;
  std::uint32_t owner = 0;
  int priority = 0;
  std::string model;  ///< The name of the one that reads it; empty if a program without names opened it.
  DocumentPhase phase = DocumentPhase::kOpen;
  std::uint64_t bytes = 0;  ///< Bytes of the tokens that the model has processed.
  std::optional<std::uint64_t> total_bytes;
  std::uint64_t tokens = 0;
  std::uint64_t outputs = 0;
  double tokens_per_second = 0;
  std::optional<ErrorCode> error_code;
  std::string error;   ///< Set if the document failed.
  std::string source;  ///< As in the request.
};

}  // namespace unroll
