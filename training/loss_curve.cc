#include "training/loss_curve.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sstream>
#include <stdexcept>

#include "base/atomic_file.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFile = "loss.csv";
constexpr const char* kHeader = "step,tokens,loss,learning_rate,validation_loss\n";

/// The shortest digits that round-trip.
std::string exact(double number) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

std::string exact(const std::optional<double>& number) {
  return number ? exact(*number) : "";
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

std::optional<double> number_in(const std::map<std::string, std::string>& cells, const std::string& name) {
  const auto found = cells.find(name);
  if (found == cells.end() || found->second.empty()) return std::nullopt;
  return std::stod(found->second);
}

/// Columns are found by the header's names, so that curves of earlier versions can be read.
std::vector<LossRow> read_rows(const fs::path& file, std::int64_t last) {
  std::vector<LossRow> rows;
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line)) return rows;
  const auto names = cells_of(line);
  while (std::getline(in, line)) {
    const auto values = cells_of(line);
    std::map<std::string, std::string> cells;
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) cells[names[i]] = values[i];
    const auto step = number_in(cells, "step");
    if (!step || static_cast<std::int64_t>(*step) > last) break;
    rows.push_back({static_cast<std::int64_t>(*step),
                    static_cast<std::int64_t>(number_in(cells, "tokens").value_or(0)),
                    number_in(cells, "loss"), number_in(cells, "learning_rate").value_or(0),
                    number_in(cells, "validation_loss")});
  }
  return rows;
}

}  // namespace

LossCurve::LossCurve(const fs::path& folder, std::int64_t last)
    : folder_(folder), rows_(read_rows(folder / kFile, last)), csv_(folder / kFile, std::ios::trunc) {
  csv_ << kHeader;
  for (const auto& row : rows_) write(row);
}

void LossCurve::write(const LossRow& row) {
  csv_ << row.step << ',' << row.tokens << ',' << exact(row.loss) << ',' << exact(row.learning_rate) << ','
       << exact(row.validation_loss) << '\n';
  if (!csv_.flush()) throw std::runtime_error("cannot write " + (folder_ / kFile).string());
}

void LossCurve::add(const LossRow& row) {
  write(row);
  rows_.push_back(row);
}

void LossCurve::draw(const std::string& title, std::int64_t steps) const {
  AtomicFile page(folder_ / "loss.html");
  page.write(loss_page(title, rows_, steps));
  page.commit();
}

}  // namespace unroll
