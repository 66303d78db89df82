// Base64 (RFC 4648) with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace unroll {

std::string base64_encode(std::string_view bytes);
/// Returns nullopt if the text is not base64. Padding is required; whitespace is not skipped.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace unroll
