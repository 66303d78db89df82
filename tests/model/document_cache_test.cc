// The cache computes what its definition says, evaluated slowly; it is a distribution, forgets as it must,
// and continues with the same bits after a restart.
#include "model/document_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int32_t kTokens = 30;

/// Repeats itself, with changes.
std::vector<std::int32_t> a_document(std::size_t length, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens;
  while (tokens.size() < length) {
    if (tokens.size() > 20 && random() % 4 == 0) {
      const auto from = random() % (tokens.size() - 12);
      for (std::size_t i = from; i < from + 12; ++i) tokens.push_back(tokens[i]);
    }
    tokens.push_back(static_cast<std::int32_t>(random() % kTokens));
  }
  tokens.resize(length);
  return tokens;
}

/// An arbitrary distribution over the vocabulary, different at each position; sometimes nearly certain.
std::vector<float> network(std::size_t place) {
  const double sharpness = place / 50 % 2 == 0 ? 1 : 6;
  std::vector<double> logits(kTokens);
  double sum = 0;
  for (std::size_t v = 0; v < kTokens; ++v) {
    logits[v] = sharpness * std::sin(static_cast<double>(place * 31 + v * 7));
    sum += std::exp(logits[v]);
  }
  std::vector<float> logprobs;
  for (const double logit : logits) logprobs.push_back(static_cast<float>(logit - std::log(sum)));
  return logprobs;
}

/// The definition, evaluated from the whole document each time: only the terms of the weights, the pointer
/// and the network's recent loss are kept between tokens.
class Slow {
 public:
  explicit Slow(std::size_t capacity) : capacity_(capacity) {}

  /// Scores the token at `place` and learns from it.
  double probability(const std::vector<std::int32_t>& document, std::size_t place, double network) {
    const auto loss = kind_of_loss();
    loss_ += 0.3 * (-std::log(network) - loss_);
    if (place == 0) return network;
    const auto token = document[place];
    const auto oldest = place > capacity_ ? place - capacity_ : 0;
    double p = network;
    Kind longest{};
    std::size_t best = 0, best_length = 0;
    for (std::size_t context = 0; context <= 8; ++context) {
      std::map<std::int32_t, std::size_t> counts;
      std::size_t sum = 0, occurrences = 0;
      for (std::size_t next = place; next-- > oldest;) {
        if (context > 0 && !agrees(document, next, place, 1, oldest)) continue;
        if (context > 0 && ++occurrences > DocumentCache::kMaxOccurrences) break;
        if (!agrees(document, next, place, context, oldest)) continue;
        ++counts[document[next]];
        if (++sum == 1 && context > 0) best = next + 1, best_length = context;
      }
      if (sum == 0) break;
      const auto distinct = static_cast<double>(counts.size()), total = static_cast<double>(sum);
      longest = {context, std::min<std::size_t>(counts.size(), 4),
                 std::min<std::size_t>(std::log2(sum) + 1, 8)};
      const double novel = std::min(0.75 * distinct / total, 0.95);
      auto& by_context = backoffs_.try_emplace(longest, Term{std::log(novel / (1 - novel))}).first->second;
      const double own = static_cast<double>(counts.contains(token) ? counts[token] : 0) / total;
      p = mix({&by_context, &backoffs_by_loss_[{context, loss}]}, p, own);
    }
    find_pointer(place, best, best_length);
    const std::pair pointer = pointer_ == 0 ? std::pair(0UL, 0UL) : std::pair(history_, agreed_);
    const double both = mix(counts_.terms(longest, pointer, loss), p, network);
    return with_pointer(document, place, both, longest, pointer, loss);
  }

 private:
  using Kind = std::tuple<std::size_t, std::size_t, std::size_t>;
  using Pair = std::pair<std::size_t, std::size_t>;
  struct Term {
    double value = 0, squares = 0;
  };
  struct Gate {
    std::map<Kind, Term> context;
    std::map<Pair, Term> pointer;
    std::map<std::size_t, Term> loss;
    std::vector<Term*> terms(const Kind& kind, const Pair& place, std::size_t lately) {
      return {&context[kind], &pointer[place], &loss[lately]};
    }
  };
  /// weight * part + (1 - weight) * rest. The weight is a logistic function of the sum of the terms, which
  /// are learned.
  static double mix(const std::vector<Term*>& terms, double part, double rest) {
    double logit = 0;
    for (const auto* term : terms) logit += term->value;
    const double weight = 1 / (1 + std::exp(-logit));
    const double mixed = weight * part + (1 - weight) * rest;
    const double gradient = weight * part / mixed - weight;
    for (auto* term : terms) {
      term->squares += gradient * gradient;
      term->value += 0.5 * gradient / std::sqrt(0.1 + term->squares);
    }
    return mixed;
  }
  void find_pointer(std::size_t place, std::size_t best, std::size_t best_length) {
    if (pointer_ != 0 && place - (pointer_ - 1) >= capacity_) pointer_ = 0;
    if (pointer_ == 0 || history_ == 0 ||
        (history_ % 2 == 0 && best_length >= DocumentCache::kPointerContext)) {
      if (best == 0) pointer_ = 0;
      if (best != 0 && best != pointer_) pointer_ = best, history_ = 0, agreed_ = best_length;
    }
  }
  double with_pointer(const std::vector<std::int32_t>& document, std::size_t place, double both,
                      const Kind& longest, const Pair& pointer, std::size_t loss) {
    if (pointer_ == 0) return both;
    const bool hit = document[pointer_ - 1] == document[place];
    const double mixed = mix(pointer_gate_.terms(longest, pointer, loss), hit ? 1.0 : 0.0, both);
    history_ = (history_ * 2 + (hit ? 1 : 0)) % 256;
    if (!hit) agreed_ = 0;
    ++pointer_;
    return mixed;
  }
  std::size_t kind_of_loss() const {
    std::size_t kind = 0;
    for (const double limit : {0.05, 0.1, 0.3, 0.6, 1.2, 2.0, 3.2}) kind += loss_ > limit ? 1 : 0;
    return kind;
  }
  static bool agrees(const std::vector<std::int32_t>& document, std::size_t next, std::size_t place,
                     std::size_t context, std::size_t oldest) {
    if (next < oldest + context) return false;
    return std::equal(document.begin() + static_cast<std::ptrdiff_t>(next - context),
                      document.begin() + static_cast<std::ptrdiff_t>(next),
                      document.begin() + static_cast<std::ptrdiff_t>(place - context));
  }
  std::size_t capacity_, pointer_ = 0, history_ = 0, agreed_ = 0;
  double loss_ = 2;
  std::map<Kind, Term> backoffs_;
  std::map<Pair, Term> backoffs_by_loss_;
  Gate counts_, pointer_gate_;
};

TEST(DocumentCache, IsItsDefinition) {
  for (const std::size_t capacity : {1u, 2u, 50u, 4000u}) {
    const auto document = a_document(3000, 3);
    DocumentCache cache(kTokens, static_cast<std::int64_t>(capacity));
    Slow slow(capacity);
    for (std::size_t place = 0; place < document.size(); ++place) {
      const auto token = document[place];
      const auto expected = network(place)[static_cast<std::size_t>(token)];
      const auto mixture = cache.predict();
      const auto wanted = std::log(slow.probability(document, place, std::exp(double{expected})));
      ASSERT_NEAR(mixture.logprob(token, expected), wanted, 1e-5) << capacity << ", token " << place;
      cache.append(token, mixture, expected);
    }
  }
}

TEST(DocumentCache, IsADistributionAndTheSameTokenByToken) {
  const auto document = a_document(600, 4);
  DocumentCache cache(kTokens, 100);
  for (std::size_t place = 0; place < document.size(); ++place) {
    const auto before = network(place);
    auto after = before;
    const auto mixture = cache.predict();
    mixture.apply(after);
    double sum = 0;
    for (std::int32_t token = 0; token < kTokens; ++token) {
      const auto v = static_cast<std::size_t>(token);
      sum += std::exp(after[v]);
      ASSERT_NEAR(after[v], mixture.logprob(token, before[v]), 1e-5);
    }
    ASSERT_NEAR(sum, 1, 1e-5) << place;
    cache.append(document[place], mixture, before[static_cast<std::size_t>(document[place])]);
  }
}

double nats(DocumentCache& cache, const std::vector<std::int32_t>& tokens, float network_logprob) {
  double sum = 0;
  for (const auto token : tokens) {
    const auto mixture = cache.predict();
    sum -= mixture.logprob(token, network_logprob);
    cache.append(token, mixture, network_logprob);
  }
  return sum;
}

TEST(DocumentCache, WhatComesAgainIsCheapWhatIsNewCostsLittleMore) {
  std::vector<std::int32_t> random(1000);
  std::mt19937 generator(9);
  for (auto& token : random) token = static_cast<std::int32_t>(generator() % 5000);
  const auto plain = 1000 * std::log(5000.0);
  DocumentCache cache(5000, 4096);
  const auto first = nats(cache, random, -std::log(5000.0F));
  EXPECT_LT(first, plain * 1.03) << "nothing in it repeats";
  const auto second = nats(cache, random, -std::log(5000.0F));
  EXPECT_LT(second, plain / 10);
  DocumentCache short_one(5000, 500);
  nats(short_one, random, -std::log(5000.0F));
  EXPECT_GT(nats(short_one, random, -std::log(5000.0F)), plain * 0.9) << "out of its reach";
}

// A weight that follows the shares of experts that are nearly equally good hardly moves.
TEST(DocumentCache, OfTwoGoodExpertsTheBetterOneIsFound) {
  std::vector<std::int32_t> line(100);
  std::iota(line.begin(), line.end(), 0);
  DocumentCache cache(kTokens * 10, 4096);
  const auto logprob = std::log(0.98F);
  for (int i = 0; i < 10; ++i) nats(cache, line, logprob);
  EXPECT_LT(nats(cache, line, logprob) / 100, 0.001);
}

TEST(DocumentCache, AnImpossibleTokenDoesNoHarm) {
  DocumentCache cache(kTokens, 64);
  nats(cache, {1, 2, 3, 1, 2}, -std::numeric_limits<float>::infinity());
  nats(cache, a_document(200, 7), -3);
  EXPECT_NO_THROW(DocumentCache::deserialize(cache.serialize(), kTokens, 64));
  EXPECT_TRUE(std::isfinite(nats(cache, a_document(200, 7), -3)));
}

TEST(DocumentCache, GoesOnWithTheSameBitsAfterARestart) {
  const auto document = a_document(900, 5);
  DocumentCache cache(kTokens, 64);
  for (std::size_t place = 0; place < document.size(); ++place) {
    auto restored = DocumentCache::deserialize(cache.serialize(), kTokens, 64);
    EXPECT_EQ(restored.serialize(), cache.serialize());
    EXPECT_EQ(restored.bytes(), cache.bytes());
    const auto logprob = network(place)[static_cast<std::size_t>(document[place])];
    const auto mixture = cache.predict();
    ASSERT_EQ(restored.predict().logprob(document[place], logprob),
              mixture.logprob(document[place], logprob));
    if (place % 3 == 0) {
      auto other = restored;
      other.append(document[place], other.predict(), logprob);
      cache = other;
    } else {
      cache.append(document[place], mixture, logprob);
    }
  }
}

TEST(DocumentCache, DamagedBytesAreRefused) {
  DocumentCache cache(kTokens, 64);
  nats(cache, a_document(40, 6), -3);
  const auto bytes = cache.serialize();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(DocumentCache::deserialize(std::span(bytes).first(size), kTokens, 64), std::runtime_error);
  }
  EXPECT_THROW(DocumentCache::deserialize(bytes, 5, 64), std::runtime_error) << "tokens that there are not";
}

}  // namespace
}  // namespace unroll
