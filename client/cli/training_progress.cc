#include "client/cli/training_progress.h"

#include <chrono>
#include <iostream>

#include <unistd.h>

#include "client/cli/progress.h"
#include "client/cli/text.h"

namespace unroll {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string training_text(const TrainProgress& progress, double validation_loss, double seconds_a_step,
                          std::size_t width) {
  const auto number = [](std::int64_t steps) { return with_thousands(static_cast<std::uint64_t>(steps)); };
  const double share = static_cast<double>(progress.step) / static_cast<double>(progress.steps);
  std::string line = "step " + number(progress.step) + " of " + number(progress.steps) + "  " +
                     progress_bar(share, width) + "  loss " + fixed(progress.loss, 3);
  if (validation_loss > 0) line += "  validation " + fixed(validation_loss, 3);
  line += "  " + with_thousands(static_cast<std::uint64_t>(progress.tokens_per_second)) + " tokens/s";
  if (seconds_a_step > 0) {
    line += "  " + readable_seconds(static_cast<double>(progress.steps - progress.step) * seconds_a_step) +
            " left";
  }
  return cut(line, width);
}

TrainingProgress::TrainingProgress() : terminal_(terminal_of(STDERR_FILENO)), started_(now()) {}

void TrainingProgress::update(const TrainProgress& progress) {
  if (progress.validation_loss) validation_loss_ = *progress.validation_loss;
  if (first_step_ == 0) {  // The time before the first step does not count: data was read.
    first_step_ = progress.step;
    started_ = now();
  }
  if (!terminal_.present) return;
  const auto steps = static_cast<double>(progress.step - first_step_);
  const std::size_t width = terminal_.width - 1;  // A full line would make some terminals wrap.
  const auto text =
      training_text(progress, validation_loss_, steps > 0 ? (now() - started_) / steps : 0, width);
  std::cerr << '\r' << left(text, width) << std::flush;
  shown_ = true;
}

void TrainingProgress::hide() {
  if (!shown_) return;
  std::cerr << '\r' << std::string(terminal_.width - 1, ' ') << '\r' << std::flush;
  shown_ = false;
}

}  // namespace unroll
