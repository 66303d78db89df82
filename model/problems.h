// Describes the problems of a checkpoint's tensors in one error message. Internal to model/.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  return nlohmann::json(shape).dump();
}

/// Collects problems of one kind and lists the first few.
class Problems {
 public:
  explicit Problems(std::string title) : title_(std::move(title)) {}
  void add(const std::string& problem) {
    if (++count_ > kShown) return;
    text_ += (text_.empty() ? "" : ", ") + problem;
  }
  std::string text() const {
    if (count_ == 0) return "";
    auto text = title_ + ": " + text_;
    if (count_ > kShown) text += " and " + std::to_string(count_ - kShown) + " more";
    return text + "; ";
  }

 private:
  static constexpr std::size_t kShown = 5;

  std::string title_, text_;
  std::size_t count_ = 0;
};

}  // namespace unroll
