// Decodes stored weights: safetensors' F32, F16 and BF16, and GGUF's quantised types, whose blocks have the
// layout of ggml's ggml-common.h.
#pragma once

#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "model/safetensors_file.h"

namespace unroll {

bool can_decode(std::string_view dtype);
/// "F32, F16, ...", for errors.
std::string decodable_types();

/// Contiguous fp32 of the stored shape in memory of its own, with the same bits as the Python package `gguf`
/// gives. Requires can_decode() for the type, and a size that matches the shape.
at::Tensor decode(const StoredTensor& stored);

}  // namespace unroll
