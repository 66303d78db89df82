// Copies a descriptor that another process cannot read from (a terminal, a socket).
#pragma once

#include <string>

#include "client/sources/pump.h"

namespace unroll {

class PipePump : public Pump {
 public:
  /// `name`: for errors.
  PipePump(std::string name, UniqueFd source) : name_(std::move(name)), source_(std::move(source)) {}
  std::uint64_t begin(std::uint64_t) override { return 0; }  // what was there before cannot be read again
  void run(int pipe, int stop) override;

 private:
  std::string name_;
  UniqueFd source_;
};

}  // namespace unroll
