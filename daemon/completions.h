// POST /v1/completions, as OpenAI's API has it.
#pragma once

#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daemon/openai_api.h"

namespace unroll {

inline constexpr std::string_view kCompletionsPath = "/v1/completions";

/// Throws Error(kInvalidParams), which names the field.
std::unique_ptr<ApiRequest> make_completions(const nlohmann::json& body);

}  // namespace unroll
