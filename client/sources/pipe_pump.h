// Copies a descriptor that another process cannot read from (a terminal, a socket) to a pipe.
#pragma once

#include <string>

#include "client/sources/pump.h"

namespace unroll {

class PipePump : public Pump {
 public:
  /// `name` is used in errors.
  PipePump(std::string name, UniqueFd source) : name_(std::move(name)), source_(std::move(source)) {}
  std::uint64_t begin(std::uint64_t) override { return 0; }  // earlier bytes cannot be read again
  void run(int pipe, int stop) override;

 private:
  std::string name_;
  UniqueFd source_;
};

}  // namespace unroll
