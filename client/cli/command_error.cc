#include "client/cli/command_error.h"

#include <system_error>

namespace unroll {

std::string system_message(const std::string& what, int error) {
  return what + ": " + std::generic_category().message(error);
}

}  // namespace unroll
