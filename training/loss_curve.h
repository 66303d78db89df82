// The loss curve: loss.csv, and loss.html to look at it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace unroll {

/// After a step (0: before the first). Losses in nats per token.
struct LossRow {
  std::int64_t step = 0, tokens = 0;
  std::optional<double> loss;
  double learning_rate = 0;
  std::optional<double> validation_loss;
};

class LossCurve {
 public:
  /// Keeps what `folder` has up to step `last`: what a killed run did after its last checkpoint is done
  /// again.
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

/// The page: stands alone, fetches nothing. `steps`: where the run is to end.
std::string loss_page(const std::string& title, const std::vector<LossRow>& rows, std::int64_t steps);

}  // namespace unroll
