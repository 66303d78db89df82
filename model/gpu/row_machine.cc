#include "model/gpu/row_machine.h"

#include <utility>

namespace unroll {
namespace {

class RepeatedWork final : public Recording {
 public:
  explicit RepeatedWork(std::function<void()> work) : work_(std::move(work)) {}
  void play() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace

void SerialMachine::run(const RowProgram& program, std::int64_t rows) {
  std::visit(
      [&](const auto& each) {
        for (std::int64_t row = 0; row < rows; ++row) each(SingleThread(), row);
      },
      program);
}

std::unique_ptr<Recording> SerialMachine::record(std::function<void()> work) {
  return std::make_unique<RepeatedWork>(std::move(work));
}

}  // namespace unroll
