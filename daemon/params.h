// Named parameters of one request, checked on access. Every function throws Error(kInvalidParams), which
// names the method and the parameter.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace unroll {

class Params {
 public:
  /// `params` is borrowed. Refuses parameters that are not `known`.
  Params(std::string_view method, const nlohmann::json& params,
         std::initializer_list<std::string_view> known);

  std::string_view method() const { return method_; }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// Null if it is missing.
  const nlohmann::json* find(std::string_view name) const;
  std::string string(std::string_view name) const;
  std::optional<std::string> optional_string(std::string_view name) const;
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t minimum,
                                               std::int64_t maximum) const;
  std::optional<bool> optional_bool(std::string_view name) const;
  [[noreturn]] void refuse(std::string_view name, std::string_view must) const;

 private:
  std::string_view method_;
  const nlohmann::json& params_;
};

}  // namespace unroll
