#include "client/logs/known_lines.h"

#include <algorithm>
#include <cmath>

namespace unroll {
namespace {

constexpr std::uint32_t kUnknown = UINT32_MAX;
constexpr std::size_t kMostVisits = 50'000;       // of known lines, to find candidates
constexpr std::size_t kMostCandidates = 200;      // that are compared exactly
constexpr std::size_t kMostRemembered = 100'000;  // answers

}  // namespace

void KnownLines::learn(std::string_view line, int severity, std::uint64_t count) {
  line = line.substr(0, kMostText);
  const std::uint64_t key = line_key(line_words(line));
  const auto known = by_key_.find(key);
  if (known != by_key_.end()) {
    KnownLine& same = lines_[known->second];
    same.count += count;
    same.severity = std::max(same.severity, severity);
    return;
  }
  if (lines_.size() == kMost) {
    ++left_out_;
    return;
  }
  by_key_[key] = static_cast<std::uint32_t>(lines_.size());
  lines_.push_back({std::string(line), count, severity});
  indexed_ = false;
}

void KnownLines::index() {
  if (indexed_) return;
  indexed_ = true;
  feature_of_.clear();
  remembered_.clear();
  lines_with_.clear();
  features_of_.assign(lines_.size(), {});
  shares_.clear();
  for (std::uint32_t line = 0; line < lines_.size(); ++line) {
    for (const auto& [hash, share] : line_features(line_words(lines_[line].text))) {
      const auto id = static_cast<std::uint32_t>(shares_.size());
      const auto [feature, is_new] = feature_of_.try_emplace(hash, id);
      if (is_new) {
        shares_.push_back(share);
        lines_with_.emplace_back();
      }
      lines_with_[feature->second].push_back(line);
      features_of_[line].push_back(feature->second);
    }
    std::sort(features_of_[line].begin(), features_of_[line].end());
  }
  norms_.assign(lines_.size(), 0);
  for (std::size_t feature = 0; feature < lines_with_.size(); ++feature) {
    const double weight = weight_of(lines_with_[feature].size(), shares_[feature]);
    for (const std::uint32_t line : lines_with_[feature]) norms_[line] += weight * weight;
  }
  for (double& norm : norms_) norm = std::sqrt(norm);
}

double KnownLines::weight_of(std::uint64_t lines_with_it, float share) const {
  const double rarity = static_cast<double>(lines_.size() + 1) / (static_cast<double>(lines_with_it) + 0.5);
  return share * (std::log(rarity) + 0.3);
}

/// Rarest first.
std::vector<KnownLines::Weighed> KnownLines::weigh(const std::vector<LineFeature>& features) const {
  std::vector<Weighed> weighed;
  for (const auto& [hash, share] : features) {
    const auto known = feature_of_.find(hash);
    if (known == feature_of_.end()) {
      weighed.push_back({kUnknown, weight_of(0, share)});
    } else {
      weighed.push_back({known->second, weight_of(lines_with_[known->second].size(), share)});
    }
  }
  std::stable_sort(weighed.begin(), weighed.end(), [&](const Weighed& a, const Weighed& b) {
    const auto count = [&](const Weighed& f) {
      return f.feature == kUnknown ? 0 : lines_with_[f.feature].size();
    };
    return count(a) < count(b);
  });
  return weighed;
}

/// The known lines that have most of the rarest features.
std::vector<std::uint32_t> KnownLines::candidates(std::vector<Weighed>& features) const {
  std::unordered_map<std::uint32_t, double> found;
  std::size_t visits = 0;
  for (const auto& [feature, weight] : features) {
    if (feature == kUnknown) continue;
    visits += lines_with_[feature].size();
    if (visits > kMostVisits && !found.empty()) break;
    for (const std::uint32_t line : lines_with_[feature]) found[line] += weight * weight;
  }
  std::vector<std::pair<double, std::uint32_t>> ranked;
  for (const auto& [line, product] : found) ranked.emplace_back(-product / norms_[line], line);
  const auto shown = std::min(ranked.size(), kMostCandidates);
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(shown), ranked.end());
  std::vector<std::uint32_t> lines;
  for (std::size_t i = 0; i < shown; ++i) lines.push_back(ranked[i].second);
  return lines;
}

KnownLines::Nearest KnownLines::nearest(std::string_view line) {
  index();
  const auto words = line_words(line.substr(0, kMostText));
  const std::uint64_t key = line_key(words);
  if (words.empty()) return {0, nullptr};  // rules, empty lines
  if (const auto same = by_key_.find(key); same != by_key_.end()) return {0, &lines_[same->second]};
  if (const auto before = remembered_.find(key); before != remembered_.end()) return before->second;

  auto features = weigh(line_features(words));
  double norm = 0;
  for (const auto& feature : features) norm += feature.weight * feature.weight;
  norm = std::sqrt(norm);
  Nearest nearest;
  for (const std::uint32_t candidate : candidates(features)) {
    double product = 0;
    const auto& has = features_of_[candidate];
    for (const auto& [feature, weight] : features) {
      if (std::binary_search(has.begin(), has.end(), feature)) product += weight * weight;
    }
    const double distance = std::clamp(1 - product / (norm * norms_[candidate]), 0.0, 1.0);
    if (distance < nearest.distance) nearest = {distance, &lines_[candidate]};
  }
  if (remembered_.size() < kMostRemembered) remembered_[key] = nearest;
  return nearest;
}

}  // namespace unroll
