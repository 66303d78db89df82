// The loss curve: loss.csv, and loss.html to view it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace unroll {

/// The losses after a step (0: before the first), in nats per token.
struct LossRow {
  std::int64_t step = 0, tokens = 0;
  std::optional<double> loss;
  double learning_rate = 0;
  std::optional<double> validation_loss;
};

class LossCurve {
 public:
  /// Keeps the rows in `folder` up to step `last`: steps that a killed run made after its last checkpoint are
  /// repeated.
  LossCurve(const std::filesystem::path& folder, std::int64_t last);
  void add(const LossRow& row);
  /// Writes the page.
  void draw(const std::string& title, std::int64_t steps) const;

 private:
  void write(const LossRow& row);

  std::filesystem::path folder_;
  std::vector<LossRow> rows_;
  std::ofstream csv_;
};

/// The self-contained HTML page. `steps`: the run's planned number of steps.
std::string loss_page(const std::string& title, const std::vector<LossRow>& rows, std::int64_t steps);

}  // namespace unroll
