// Training progress on a terminal: one line on standard error, redrawn in place.
#pragma once

#include <string>

#include "client/cli/terminal.h"
#include "training/trainer.h"

namespace unroll {

/// "step 120 of 500  [=====>     ]  24 %  loss 2.3101  validation 2.2050  2,310 tokens/s  3:20 left", cut to
/// `width` columns; without the remaining time if it is not known yet.
std::string training_text(const TrainProgress& progress, double validation_loss, double seconds_a_step,
                          std::size_t width);

/// Draws only if standard error is a terminal. Not thread-safe.
class TrainingProgress {
 public:
  TrainingProgress();
  ~TrainingProgress() { hide(); }
  TrainingProgress(const TrainingProgress&) = delete;
  TrainingProgress& operator=(const TrainingProgress&) = delete;

  bool present() const { return terminal_.present; }
  void update(const TrainProgress& progress);
  void hide();

 private:
  Terminal terminal_;
  double started_;
  std::int64_t first_step_ = 0;
  double validation_loss_ = 0;
  bool shown_ = false;
};

}  // namespace unroll
