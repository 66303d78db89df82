#include "model/document_cache.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace unroll {
namespace {

constexpr double kDiscount = 0.75;

}  // namespace

DocumentCache::DocumentCache(std::int64_t num_tokens, std::int64_t capacity)
    : tokens_(static_cast<std::size_t>(capacity)),
      previous_(static_cast<std::size_t>(capacity)),
      last_(static_cast<std::size_t>(num_tokens)),
      counts_(static_cast<std::size_t>(num_tokens)) {}

double DocumentCache::Mixture::unigram(std::int32_t token) const {
  const auto count = cache_->counts_[static_cast<std::size_t>(token)];
  const auto total = static_cast<double>(cache_->count_ - cache_->oldest());
  return count == 0 ? 0 : (count - kDiscount) / total;
}

/// What the counts give the token, without the network's share.
double DocumentCache::Mixture::counted(std::int32_t token) const {
  if (unigram_share_ == 0) return 0;  // nothing was counted yet
  const auto found = std::ranges::lower_bound(seen_, token, {}, &Seen::token);
  const double seen = found != seen_.end() && found->token == token ? found->probability : 0;
  return seen + unigram_share_ * unigram(token);
}

float DocumentCache::Mixture::logprob(std::int32_t token, float network_logprob) const {
  if (weight_ == 0) return network_logprob;
  const double network = std::exp(static_cast<double>(network_logprob));
  const double counts = network_share_ * network + counted(token);
  return static_cast<float>(std::log((1 - weight_) * network + weight_ * counts));
}

void DocumentCache::Mixture::apply(std::span<float> network_logprobs) const {
  if (weight_ == 0) return;
  const double network_part = 1 - weight_ + weight_ * network_share_;
  auto next = seen_.begin();
  for (std::size_t token = 0; token < network_logprobs.size(); ++token) {
    double counts = unigram_share_ * unigram(static_cast<std::int32_t>(token));
    if (next != seen_.end() && next->token == static_cast<std::int32_t>(token))
      counts += (next++)->probability;
    const double network = std::exp(static_cast<double>(network_logprobs[token]));
    network_logprobs[token] = static_cast<float>(std::log(network_part * network + weight_ * counts));
  }
}

DocumentCache::Mixture DocumentCache::predict() const {
  Mixture mixture;
  mixture.cache_ = this;
  if (count_ == 0) return mixture;
  std::array<Occurrence, kMaxOccurrences> occurrences;  // NOLINT: only what find() wrote is read
  interpolate(std::span(occurrences).first(find(occurrences)), mixture);
  const auto& weight = weights_[mixture.bucket_];
  mixture.weight_ = weight.counts / weight.total;
  return mixture;
}

/// Earlier places where the last token stood, latest first, each with what followed and how much of the
/// context agrees.
std::size_t DocumentCache::find(std::span<Occurrence> occurrences) const {
  std::size_t found = 0;
  const auto end = count_ - 1;  // of the context: the last token's position
  const auto first = oldest();
  auto position = end;
  while (found < occurrences.size()) {
    const auto distance = previous_[position % tokens_.size()];
    if (distance == 0 || distance > position - first) break;
    position -= distance;
    std::uint32_t length = 1;
    while (length < kMaxContext && position >= first + length && at(position - length) == at(end - length))
      ++length;
    occurrences[found++] = {at(position + 1), length};
  }
  return found;
}

/// From no context to the longest: p_k(v) = (max(count_k(v) - D, 0) + D * distinct_k * p_{k-1}(v)) / total_k,
/// with the network's distribution as p_{-1}. It is kept as shares of network and unigram, and a list of what
/// followed.
void DocumentCache::interpolate(std::span<Occurrence> occurrences, Mixture& mixture) const {
  const auto total = count_ - oldest();
  mixture.network_share_ = kDiscount * static_cast<double>(distinct_) / static_cast<double>(total);
  mixture.unigram_share_ = 1;
  mixture.bucket_ = bucket(0, distinct_, total);

  std::ranges::sort(occurrences, {}, &Occurrence::next);
  std::vector<std::array<std::uint32_t, kMaxContext + 1>>
      counts;  // of each token, by length of context at least
  for (const auto& occurrence : occurrences) {
    if (mixture.seen_.empty() || mixture.seen_.back().token != occurrence.next) {
      mixture.seen_.push_back({occurrence.next, 0});
      counts.emplace_back();
    }
    for (std::uint32_t length = 1; length <= occurrence.length; ++length) ++counts.back()[length];
  }
  for (std::size_t length = 1; length <= kMaxContext; ++length) {
    std::size_t distinct = 0, sum = 0;
    for (const auto& count : counts) {
      distinct += count[length] > 0 ? 1 : 0;
      sum += count[length];
    }
    if (sum == 0) break;
    const double backoff = kDiscount * static_cast<double>(distinct) / static_cast<double>(sum);
    mixture.network_share_ *= backoff;
    mixture.unigram_share_ *= backoff;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const double count = counts[i][length];
      mixture.seen_[i].probability = mixture.seen_[i].probability * backoff +
                                     std::max(count - kDiscount, 0.0) / static_cast<double>(sum);
    }
    mixture.bucket_ = bucket(length, distinct, sum);
  }
}

std::size_t DocumentCache::bucket(std::size_t context, std::size_t distinct, std::size_t total) {
  const auto log_total = static_cast<std::size_t>(std::bit_width(total)) - 1;
  return (context * 3 + std::min<std::size_t>(distinct, 3) - 1) * 4 + std::min<std::size_t>(log_total, 3);
}

void DocumentCache::append(std::int32_t token, const Mixture& mixture, float network_logprob) {
  if (mixture.weight_ > 0) {
    const double network = std::exp(static_cast<double>(network_logprob));
    const double counts = mixture.weight_ * (mixture.network_share_ * network + mixture.counted(token));
    const double both = (1 - mixture.weight_) * network + counts;
    auto& weight = weights_[mixture.bucket_];
    if (both > 0) weight.counts += counts / both;
    weight.total += 1;
  }
  if (count_ >= tokens_.size() && --counts_[static_cast<std::size_t>(at(oldest()))] == 0) --distinct_;
  remember(token);
}

void DocumentCache::remember(std::int32_t token) {
  const auto slot = count_ % tokens_.size();
  auto& last = last_[static_cast<std::size_t>(token)];
  const auto distance = last == 0 ? 0 : count_ + 1 - last;
  previous_[slot] = distance < tokens_.size() ? static_cast<std::uint32_t>(distance) : 0;
  tokens_[slot] = token;
  if (counts_[static_cast<std::size_t>(token)]++ == 0) ++distinct_;
  last = ++count_;
}

std::size_t DocumentCache::bytes() const {
  return sizeof *this + tokens_.size() * (sizeof tokens_[0] + sizeof previous_[0]) +
         last_.size() * (sizeof last_[0] + sizeof counts_[0]);
}

std::vector<std::byte> DocumentCache::serialize() const {
  const auto first = oldest();
  std::vector<std::byte> out(sizeof count_ + sizeof weights_ + (count_ - first) * sizeof(std::int32_t));
  std::memcpy(out.data(), &count_, sizeof count_);
  std::memcpy(out.data() + sizeof count_, weights_.data(), sizeof weights_);
  auto* place = out.data() + sizeof count_ + sizeof weights_;
  for (auto position = first; position < count_; ++position, place += sizeof(std::int32_t)) {
    const auto token = at(position);
    std::memcpy(place, &token, sizeof token);
  }
  return out;
}

DocumentCache DocumentCache::deserialize(std::span<const std::byte> bytes, std::int64_t num_tokens,
                                         std::int64_t capacity) {
  const auto fail = [] { throw std::runtime_error("a saved document cache is damaged or of another model"); };
  DocumentCache cache(num_tokens, capacity);
  std::uint64_t count = 0;
  if (bytes.size() < sizeof count + sizeof cache.weights_) fail();
  std::memcpy(&count, bytes.data(), sizeof count);
  std::memcpy(cache.weights_.data(), bytes.data() + sizeof count, sizeof cache.weights_);
  for (const auto& weight : cache.weights_) {
    if (!(weight.counts > 0 && weight.counts < weight.total)) fail();
  }
  bytes = bytes.subspan(sizeof count + sizeof cache.weights_);
  const auto kept = std::min<std::uint64_t>(count, cache.tokens_.size());
  if (bytes.size() != kept * sizeof(std::int32_t)) fail();
  cache.count_ = count - kept;
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(std::int32_t))) {
    std::int32_t token = 0;
    std::memcpy(&token, bytes.data(), sizeof token);
    if (token < 0 || token >= num_tokens) fail();
    cache.remember(token);
  }
  return cache;
}

}  // namespace unroll
