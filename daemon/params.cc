#include "daemon/params.h"

#include <algorithm>

#include "base/error.h"

namespace unroll {

using nlohmann::json;

Params::Params(std::string_view method, const json& params, std::initializer_list<std::string_view> known)
    : method_(method), params_(params) {
  for (const auto& [name, value] : params.items()) {
    if (std::ranges::find(known, name) != known.end()) continue;
    std::string text = std::string(method) + ": unknown parameter '" + name.substr(0, 100) + "'; known: ";
    if (known.size() == 0) text += "none";
    for (const std::string_view& word : known) text.append(&word == known.begin() ? "" : ", ").append(word);
    throw Error(ErrorCode::kInvalidParams, text);
  }
}

void Params::refuse(std::string_view name, std::string_view must) const {
  throw Error(ErrorCode::kInvalidParams,
              std::string(method_) + ": parameter '" + std::string(name) + "' must be " + std::string(must));
}

const json* Params::find(std::string_view name) const {
  const auto found = params_.find(std::string(name));
  return found == params_.end() ? nullptr : &*found;
}

std::string Params::string(std::string_view name) const {
  if (auto value = optional_string(name)) return *std::move(value);
  refuse(name, "given");
}

std::optional<std::string> Params::optional_string(std::string_view name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(name, "a string");
  return value->get<std::string>();
}

std::optional<std::int64_t> Params::optional_integer(std::string_view name, std::int64_t minimum,
                                                     std::int64_t maximum) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const bool huge =
      value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!value->is_number_integer() || huge || value->get<std::int64_t>() < minimum ||
      value->get<std::int64_t>() > maximum) {
    refuse(name, "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  }
  return value->get<std::int64_t>();
}

std::optional<bool> Params::optional_bool(std::string_view name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(name, "true or false");
  return value->get<bool>();
}

}  // namespace unroll
