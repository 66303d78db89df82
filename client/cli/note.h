// Messages for the user, beside the results.
#pragma once

#include <iostream>
#include <string>

#include "client/cli/text.h"

namespace unroll {

/// On standard error, in one write.
inline void note(const std::string& text) {
  std::cerr << "unroll: " + one_line(text) + "\n";
}

}  // namespace unroll
