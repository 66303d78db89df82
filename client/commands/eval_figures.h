// What `unroll eval` and `unroll adapt` tell of a document.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "training/evaluate.h"

namespace unroll {

nlohmann::ordered_json figures_of(const EvalResult& result);
/// The same for people, without a line end.
std::string told(const EvalResult& result);

}  // namespace unroll
