// Shared by the tests of model/.
#pragma once

#include <cctype>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/config.h"
#include "tests/temporary_folder.h"

namespace unroll {

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/model/golden";
}

/// Blocks of 8 of 50 tokens, a state in the second of three layers, and the given options.
inline ModelConfig three_layers(const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json config{{"model_type", "block_recurrent_transformer"},
                        {"num_tokens", 50},
                        {"dim", 16},
                        {"depth", 3},
                        {"dim_head", 8},
                        {"heads", 2},
                        {"block_width", 8},
                        {"max_seq_len", 24},
                        {"recurrent_layers", {2}},
                        {"num_state_vectors", 6}};
  config.update(changes);
  return parse_model_config(config);
}

/// A test's name from its options: their letters and digits.
inline std::string option_name(const testing::TestParamInfo<nlohmann::json>& info) {
  std::string name;
  for (const char c : info.param.dump()) {
    if (std::isalnum(static_cast<unsigned char>(c))) name += c;
    if (c == ':' || c == ',' || c == '_') name += '_';
  }
  return name.empty() ? "defaults" : name;
}

/// The text of the std::runtime_error that `call` must throw.
template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace unroll
