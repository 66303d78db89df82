// Kinds of single bytes, whatever the locale.
#pragma once

#include "base/ascii.h"

namespace unroll::builtin {

using ascii::is_digit, ascii::is_letter, ascii::is_space, ascii::is_upper;

inline bool is_beyond_ascii(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace unroll::builtin
