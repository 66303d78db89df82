// The figures that `unroll eval` and `unroll adapt` print for a document.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "training/evaluate.h"

namespace unroll {

nlohmann::ordered_json figures_of(const EvalResult& result);
/// The same as text, without a newline.
std::string describe(const EvalResult& result);

}  // namespace unroll
