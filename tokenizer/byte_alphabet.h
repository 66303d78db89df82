// GPT-2's alphabet: how byte-level BPE writes bytes as printable characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace unroll {

/// The bytes that `written` represents; nothing if it is not written in the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view written);

}  // namespace unroll
