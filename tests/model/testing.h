// What the tests of model/ share.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace unroll {

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/model/golden";
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
