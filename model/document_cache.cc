#include "model/document_cache.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace unroll {
namespace {

constexpr double kDiscount =
    0.75;  // of absolute discounting (Ney, Essen & Kneser 1994): initial value of the backoff weights
constexpr double kMostBackoff = 0.95;
constexpr double kRate = 0.5, kInitialSquares = 0.1;  // of AdaGrad
constexpr double kMostLogit = 15;                     // no expert is ever excluded
constexpr double kLossRate = 0.3, kMostLoss = 20;     // of the mean of the network's losses
constexpr std::array kLossLimits{0.05F, 0.1F, 0.3F, 0.6F, 1.2F, 2.0F, 3.2F};  // nats

double logistic(const auto&... terms) {
  const double logit = (static_cast<double>(terms.value) + ...);
  return 1 / (1 + std::exp(-std::clamp(logit, -kMostLogit, kMostLogit)));
}

/// `gradient`: of the token's log-probability with respect to the logit.
void step(double gradient, auto&... terms) {
  const auto one = [gradient](auto& term) {
    term.squares += static_cast<float>(gradient * gradient);
    term.value += static_cast<float>(kRate * gradient / std::sqrt(kInitialSquares + term.squares));
  };
  (one(terms), ...);
}

/// The share of a mixture's probability that came from the part with `part` of it. Minus the part's weight it
/// is the gradient of the log-probability with respect to the weight's logit.
double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

DocumentCache::DocumentCache(std::int64_t num_tokens, std::int64_t capacity)
    : tokens_(static_cast<std::size_t>(capacity)),
      previous_(static_cast<std::size_t>(capacity)),
      last_(static_cast<std::size_t>(num_tokens)),
      counts_(static_cast<std::size_t>(num_tokens)),
      places_(static_cast<std::size_t>(num_tokens)) {}

// --- The mixture

double DocumentCache::Mixture::unigram(std::int32_t token) const {
  return cache_->counts_[static_cast<std::size_t>(token)] / levels_.front().total;
}

std::size_t DocumentCache::Mixture::pointer_kind() const {
  return pointer_ == 0 ? 0 : history_ * (kMaxContext + 1) + agreed_;
}

const DocumentCache::Mixture::Seen* DocumentCache::Mixture::find(std::int32_t token) const {
  const auto found = std::ranges::find(seen_, token, &Seen::token);
  return found == seen_.end() ? nullptr : &*found;
}

/// p_k(v) = (1 - b_k) * count_k(v) / total_k + b_k * p_{k-1}(v), with the network's p as p_{-1}.
double DocumentCache::Mixture::counted(std::int32_t token, double network) const {
  const auto& first = levels_.front();
  double p = (1 - first.backoff) * unigram(token) + first.backoff * network;
  const Seen* seen = find(token);
  for (std::size_t k = 1; k < levels_.size(); ++k) {
    const auto& level = levels_[k];
    p = (seen ? (1 - level.backoff) * seen->counts[k] / level.total : 0) + level.backoff * p;
  }
  return p;
}

double DocumentCache::Mixture::mixed(std::int32_t token, double network) const {
  const double both = (1 - weight_) * network + weight_ * counted(token, network);
  return (1 - pointer_weight_) * both + (token == pointed_ ? pointer_weight_ : 0);
}

float DocumentCache::Mixture::logprob(std::int32_t token, float network_logprob) const {
  if (cache_ == nullptr) return network_logprob;
  return static_cast<float>(std::log(mixed(token, std::exp(static_cast<double>(network_logprob)))));
}

void DocumentCache::Mixture::apply(std::span<float> network_logprobs) const {
  if (cache_ == nullptr) return;
  const auto place = [](std::int32_t token) { return static_cast<std::size_t>(token); };
  std::vector<float> special;  // scratch: tokens that followed this context, or that the pointer predicts
  for (const auto& seen : seen_) special.push_back(logprob(seen.token, network_logprobs[place(seen.token)]));
  const float pointed = pointed_ < 0 ? 0 : logprob(pointed_, network_logprobs[place(pointed_)]);

  double share = weight_;  // share of the weight that reaches the unigram level
  for (std::size_t k = 1; k < levels_.size(); ++k) share *= levels_[k].backoff;
  const auto& first = levels_.front();
  const double network_share = (1 - pointer_weight_) * (1 - weight_ + share * first.backoff);
  const double unigram_share = (1 - pointer_weight_) * share * (1 - first.backoff);
  for (std::size_t token = 0; token < network_logprobs.size(); ++token) {
    const double network = std::exp(static_cast<double>(network_logprobs[token]));
    network_logprobs[token] = static_cast<float>(
        std::log(network_share * network + unigram_share * unigram(static_cast<std::int32_t>(token))));
  }
  for (std::size_t i = 0; i < seen_.size(); ++i) network_logprobs[place(seen_[i].token)] = special[i];
  if (pointed_ >= 0) network_logprobs[place(pointed_)] = pointed;
}

// --- Before a token

DocumentCache::Mixture DocumentCache::predict() {
  Mixture mixture;
  if (count_ == 0) return mixture;
  mixture.cache_ = this;
  mixture.loss_kind_ = loss_kind();
  add_level(0, distinct_, count_ - oldest(), mixture);
  const auto best = find_occurrences(mixture.seen_);
  for (std::size_t context = 1; context <= kMaxContext; ++context) {
    std::size_t distinct = 0, total = 0;
    for (const auto& seen : mixture.seen_) {
      distinct += seen.counts[context] > 0 ? 1 : 0;
      total += seen.counts[context];
    }
    if (total == 0) break;
    add_level(context, distinct, total, mixture);
  }
  set_pointer(best, mixture);
  mixture.weight_ = weights_.counts.weight(mixture);
  if (mixture.pointer_ != 0) mixture.pointer_weight_ = weights_.pointer.weight(mixture);
  return mixture;
}

double DocumentCache::Gate::weight(const Mixture& mixture) const {
  return logistic(context[mixture.levels_.back().kind], pointer[mixture.pointer_kind()],
                  loss[mixture.loss_kind_]);
}

void DocumentCache::Gate::learn(const Mixture& mixture, double gradient) {
  step(gradient, context[mixture.levels_.back().kind], pointer[mixture.pointer_kind()],
       loss[mixture.loss_kind_]);
}

std::size_t DocumentCache::loss_kind() const {
  static_assert(kLossKinds == kLossLimits.size() + 1);
  return static_cast<std::size_t>(std::ranges::lower_bound(kLossLimits, loss_) - kLossLimits.begin());
}

std::size_t DocumentCache::context_kind(std::size_t context, std::size_t distinct, std::size_t total) {
  const auto width = static_cast<std::size_t>(std::bit_width(total));
  return (context * kDistinct + std::min(distinct, kDistinct) - 1) * kTotals + std::min(width, kTotals) - 1;
}

void DocumentCache::add_level(std::size_t context, std::size_t distinct, std::size_t total,
                              Mixture& mixture) {
  const auto kind = context_kind(context, distinct, total);
  auto& term = weights_.backoff[kind];
  if (term.squares == 0) {
    const double novel =
        std::min(kDiscount * static_cast<double>(distinct) / static_cast<double>(total), kMostBackoff);
    term.value = static_cast<float>(std::log(novel / (1 - novel)));
  }
  const double backoff = logistic(term, weights_.backoff_loss[context * kLossKinds + mixture.loss_kind_]);
  mixture.levels_.push_back({kind, backoff, static_cast<double>(total)});
}

/// Finds earlier places of the last token, latest first, and counts what followed by the length of the
/// context that agrees. Returns the place with the longest agreement.
DocumentCache::Match DocumentCache::find_occurrences(std::vector<Mixture::Seen>& seen) {
  Match best;
  const auto end = count_ - 1;  // end of the context: the last token's position
  const auto first = oldest();
  auto position = end;
  for (std::size_t found = 0; found < kMaxOccurrences; ++found) {
    const auto distance = previous_[position % tokens_.size()];
    if (distance == 0 || distance > position - first) break;
    position -= distance;
    std::uint32_t length = 1;
    while (length < kMaxContext && position >= first + length && at(position - length) == at(end - length)) {
      ++length;
    }
    if (length > best.length) best = {position + 2, length};
    const auto next = at(position + 1);
    auto& place = places_[static_cast<std::size_t>(next)];
    if (place == 0) {
      seen.push_back({next, {}});
      place = static_cast<std::uint16_t>(seen.size());
    }
    for (std::uint32_t k = 1; k <= length; ++k) ++seen[place - 1].counts[k];
  }
  for (const auto& entry : seen) places_[static_cast<std::size_t>(entry.token)] = 0;
  return best;
}

/// The pointer continues along its passage, unless it has just missed and there is a better place, or it has
/// mostly missed recently.
void DocumentCache::set_pointer(const Match& best, Mixture& mixture) const {
  mixture.pointer_ = pointer_;
  mixture.history_ = history_;
  mixture.agreed_ = agreed_;
  if (pointer_ != 0 && count_ - (pointer_ - 1) >= tokens_.size()) mixture.pointer_ = 0;  // out of the ring
  const bool missed = (history_ & 1) == 0;
  if (mixture.pointer_ == 0 || history_ == 0 || (missed && best.length >= kPointerContext)) {
    if (best.position == 0) {
      mixture.pointer_ = 0;
    } else if (best.position != mixture.pointer_) {
      mixture.pointer_ = best.position;
      mixture.history_ = 0;
      mixture.agreed_ = static_cast<std::uint8_t>(best.length);
    }
  }
  if (mixture.pointer_ == 0) return;
  mixture.pointed_ = at(mixture.pointer_ - 1);
}

// --- After a token

void DocumentCache::append(std::int32_t token, const Mixture& mixture, float network_logprob) {
  if (mixture.cache_ != nullptr) learn(token, mixture, std::exp(static_cast<double>(network_logprob)));
  loss_ += static_cast<float>(kLossRate * (std::min<double>(-network_logprob, kMostLoss) - loss_));
  if (count_ >= tokens_.size() && --counts_[static_cast<std::size_t>(at(oldest()))] == 0) --distinct_;
  remember(token);
}

void DocumentCache::learn(std::int32_t token, const Mixture& mixture, double network) {
  // From the shortest context to the longest: updates each backoff by whether that level or the one below
  // gave the token its probability.
  const auto* seen = mixture.find(token);
  double p = network;
  for (std::size_t k = 0; k < mixture.levels_.size(); ++k) {
    const auto& level = mixture.levels_[k];
    const double own = k == 0 ? mixture.unigram(token) : seen ? seen->counts[k] / level.total : 0;
    const double below = level.backoff * p;
    p = (1 - level.backoff) * own + below;
    step(share(below, p) - level.backoff, weights_.backoff[level.kind],
         weights_.backoff_loss[k * kLossKinds + mixture.loss_kind_]);
  }
  const double both = (1 - mixture.weight_) * network + mixture.weight_ * p;
  weights_.counts.learn(mixture, share(mixture.weight_ * p, both) - mixture.weight_);

  pointer_ = mixture.pointer_;
  history_ = mixture.history_;
  agreed_ = mixture.agreed_;
  if (pointer_ == 0) return;
  const bool hit = token == mixture.pointed_;
  const double pointed = hit ? mixture.pointer_weight_ : 0;
  weights_.pointer.learn(
      mixture, share(pointed, (1 - mixture.pointer_weight_) * both + pointed) - mixture.pointer_weight_);
  history_ = static_cast<std::uint8_t>(history_ << 1 | (hit ? 1 : 0));
  if (!hit) agreed_ = 0;
  ++pointer_;
}

void DocumentCache::remember(std::int32_t token) {
  const auto slot = count_ % tokens_.size();
  const auto id = static_cast<std::size_t>(token);
  // A token in the ring was last seen less than 2^32 tokens ago, so the low bits give the distance.
  previous_[slot] = counts_[id] == 0 ? 0 : static_cast<std::uint32_t>(count_) - last_[id];
  last_[id] = static_cast<std::uint32_t>(count_);
  tokens_[slot] = token;
  if (counts_[id]++ == 0) ++distinct_;
  ++count_;
}

// --- Serialisation

std::size_t DocumentCache::bytes() const {
  return sizeof *this + tokens_.size() * (sizeof tokens_[0] + sizeof previous_[0]) +
         last_.size() * (sizeof last_[0] + sizeof counts_[0] + sizeof places_[0]);
}

namespace {

struct Header {
  std::uint64_t count = 0, pointer = 0;
  std::uint32_t history = 0, agreed = 0;
  float loss = 0;
  std::uint32_t reserved = 0;
};

}  // namespace

std::vector<std::byte> DocumentCache::serialize() const {
  const Header header{count_, pointer_, history_, agreed_, loss_};
  const auto first = oldest();
  std::vector<std::byte> out(sizeof header + sizeof weights_ + (count_ - first) * sizeof(std::int32_t));
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, &weights_, sizeof weights_);
  auto* place = out.data() + sizeof header + sizeof weights_;
  for (auto position = first; position < count_; ++position, place += sizeof(std::int32_t)) {
    const auto token = at(position);
    std::memcpy(place, &token, sizeof token);
  }
  return out;
}

DocumentCache DocumentCache::deserialize(std::span<const std::byte> bytes, std::int64_t num_tokens,
                                         std::int64_t capacity) {
  const auto require = [](bool right) {
    if (!right) throw std::runtime_error("a saved document cache is damaged or of another model");
  };
  DocumentCache cache(num_tokens, capacity);
  Header header;
  require(bytes.size() >= sizeof header + sizeof cache.weights_);
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(&cache.weights_, bytes.data() + sizeof header, sizeof cache.weights_);
  const auto check = [&](const auto&... all) {
    const auto right = [](const Term& term) {
      return std::isfinite(term.value) && std::isfinite(term.squares) && term.squares >= 0;
    };
    require((std::ranges::all_of(all, right) && ...));
  };
  check(cache.weights_.backoff, cache.weights_.backoff_loss);
  for (const auto* gate : {&cache.weights_.counts, &cache.weights_.pointer})
    check(gate->context, gate->pointer, gate->loss);
  bytes = bytes.subspan(sizeof header + sizeof cache.weights_);
  const auto kept = std::min<std::uint64_t>(header.count, cache.tokens_.size());
  require(bytes.size() == kept * sizeof(std::int32_t));
  require(header.pointer <= header.count && header.history < 256 && header.agreed <= kMaxContext);
  require(std::abs(header.loss) <= kMostLoss);
  cache.count_ = header.count - kept;
  cache.pointer_ = header.pointer;
  cache.history_ = static_cast<std::uint8_t>(header.history);
  cache.agreed_ = static_cast<std::uint8_t>(header.agreed);
  cache.loss_ = header.loss;
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(std::int32_t))) {
    std::int32_t token = 0;
    std::memcpy(&token, bytes.data(), sizeof token);
    require(token >= 0 && token < num_tokens);
    cache.remember(token);
  }
  return cache;
}

}  // namespace unroll
