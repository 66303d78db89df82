#include "plugins/check/synthetic.h"

#include <algorithm>
#include <limits>
#include <random>
#include <tuple>
#include <utility>

namespace unroll {
namespace {

/// The standard library's distributions differ between implementations; these do not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  float unit() { return static_cast<float>(engine_() >> 40) / static_cast<float>(1 << 24); }
  template <class List>
  const auto& any(const List& list) {
    return list[below(list.size())];
  }

 private:
  std::mt19937_64 engine_;
};

constexpr std::array<std::string_view, 24> kWords = {"the",
                                                     "river",
                                                     "of",
                                                     "council",
                                                     "and",
                                                     "harbour",
                                                     "seldom",
                                                     "wrote",
                                                     "letters",
                                                     "to",
                                                     "their",
                                                     "engine",
                                                     "before",
                                                     "winter",
                                                     "caf\xC3\xA9",
                                                     "measured",
                                                     "a",
                                                     "quiet",
                                                     "light",
                                                     "which",
                                                     "Mr.",
                                                     "seventy",
                                                     "na\xC3\xAFvet\xC3\xA9",
                                                     "gardens"};

std::string sentence(Random& random) {
  std::string text(random.any(kWords));
  if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  for (std::size_t words = 5 + random.below(20); words > 0; --words) {
    text += random.one_in(9) ? ", " : random.one_in(40) ? " \xE2\x80\x94 " : random.one_in(12) ? "\n" : " ";
    text += random.any(kWords);
  }
  constexpr std::array<std::string_view, 4> kStops = {".", ".", "?", "!\xE2\x80\x9D"};
  return text + std::string(random.any(kStops));
}

std::string prose(Random& random, std::size_t bytes) {
  std::string text = "# A heading\n\n";
  while (text.size() < bytes) {
    text += sentence(random);
    text += random.one_in(6) ? "\n\n" : random.one_in(8) ? "\n- " : " ";
  }
  return text;
}

std::string log(Random& random, std::size_t bytes) {
  constexpr std::array<std::string_view, 4> kMessages = {"accepted connection from 10.0.0.",
                                                         "request took ms ", "cache holds entries ",
                                                         "worker 0x3fa9 done, job "};
  std::string text;
  while (text.size() < bytes) {
    const auto second = std::to_string(10 + random.below(50));
    text += "2024-05-01T12:00:" + second + "Z host service[" + std::to_string(random.below(9999)) + "]: ";
    text += random.one_in(50) ? "panic: out of cheese" : std::string(random.any(kMessages));
    text += std::to_string(random.below(256)) + (random.one_in(10)   ? "\r\n"
                                                 : random.one_in(20) ? "\n\n"
                                                                     : "\n");
  }
  text.pop_back();  // a log's last line often has no newline
  return text;
}

std::string random_bytes(Random& random, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(random.below(256)));
  return text;
}

std::string long_line(Random& random, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += std::string(random.any(kWords)) + " ";
  return text;
}

std::string text_of(SyntheticKind kind, std::uint64_t seed) {
  constexpr std::size_t kBytes = 6000;
  constexpr std::size_t kLongLineBytes = 70'000;  // more than a plugin may want to keep of a line
  Random random(seed);
  switch (kind) {
    case SyntheticKind::kProse:
      return prose(random, kBytes);
    case SyntheticKind::kLog:
      return log(random, kBytes);
    case SyntheticKind::kRandomBytes:
      return random_bytes(random, kBytes);
    case SyntheticKind::kLongLine:
      return long_line(random, kLongLineBytes);
    default:
      return {};
  }
}

void add_token(SyntheticBlock& whole, std::size_t end, Random& random) {
  whole.tokens.push_back(static_cast<std::int32_t>(random.below(kVocabulary)));
  whole.offsets.push_back(end);
  const float u = random.unit();
  whole.logprobs.push_back(-0.01f - 9.0f * u * u);
  whole.entropy.push_back(5.0f * random.unit());
  whole.word_end.push_back(-0.01f - 3.0f * random.unit());
  whole.ranks.push_back(1 + static_cast<std::int32_t>(random.below(kVocabulary)));
  for (int d = 0; d < whole.dim; ++d) whole.hidden.push_back(2.0f * random.unit() - 1.0f);
  float logprob = 0;
  for (int k = 0; k < whole.top_k; ++k) {
    logprob -= 0.1f + random.unit();
    whole.top_ids.push_back(static_cast<std::int32_t>(random.below(kVocabulary)));
    whole.top_logprobs.push_back(logprob);
  }
}

SyntheticBlock tokenized(std::string text, Random& random, std::int32_t top_k) {
  constexpr std::size_t kLongestToken = 7;
  SyntheticBlock whole;
  whole.dim = SyntheticDocument::kDefaultDim;
  whole.top_k = top_k;
  whole.offsets.push_back(0);
  for (std::size_t end = 0; end < text.size();) {
    if (!random.one_in(200)) end = std::min(end + 1 + random.below(kLongestToken), text.size());
    add_token(whole, end, random);
  }
  whole.text = std::move(text);
  return whole;
}

/// About fifty blocks for any document length, so that checks of every boundary are fast enough.
std::vector<std::size_t> random_cuts(std::size_t tokens, Random& random) {
  const std::size_t longest = std::max<std::size_t>(2, tokens / 20);
  std::vector<std::size_t> cuts;
  for (std::size_t first = 0; first < tokens;) {
    cuts.push_back(first);
    first += random.one_in(4) ? 1 : 1 + random.below(longest);
  }
  return cuts;
}

}  // namespace

unroll_block SyntheticBlock::view() {
  constexpr std::int32_t kCpu = 1;
  constexpr std::uint8_t kFloat = 2;
  shape_ = {static_cast<std::int64_t>(length()), dim};
  tensor_ = {hidden.data(), kCpu, 0, 2, kFloat, 32, 1, shape_.data(), nullptr, 0};
  return {sizeof(unroll_block),
          index,
          first_token,
          length(),
          tokens.data(),
          offsets.data(),
          logprobs.data(),
          entropy.data(),
          &tensor_,
          text.data(),
          text.size(),
          top_k,
          top_ids.data(),
          top_logprobs.data(),
          word_end.data(),
          ranks.data()};
}

SyntheticBlock SyntheticBlock::slice(std::uint64_t at, std::size_t first, std::size_t count) const {
  const auto part = [](const auto& list, std::size_t begin, std::size_t size) {
    const auto from = list.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::remove_cvref_t<decltype(list)>(from, from + static_cast<std::ptrdiff_t>(size));
  };
  const auto rows = static_cast<std::size_t>(dim), columns = static_cast<std::size_t>(top_k);
  SyntheticBlock block;
  block.index = at;
  block.first_token = first_token + first;
  block.dim = dim;
  block.top_k = top_k;
  block.tokens = part(tokens, first, count);
  block.offsets = part(offsets, first, count + 1);
  block.logprobs = part(logprobs, first, count);
  block.entropy = part(entropy, first, count);
  block.word_end = part(word_end, first, count);
  block.ranks = part(ranks, first, count);
  block.hidden = part(hidden, first * rows, count * rows);
  block.text =
      text.substr(block.offsets.front() - offsets.front(), block.offsets.back() - block.offsets.front());
  block.top_ids = part(top_ids, first * columns, count * columns);
  block.top_logprobs = part(top_logprobs, first * columns, count * columns);
  return block;
}

void SyntheticBlock::poison() {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  std::fill(tokens.begin(), tokens.end(), -1);
  std::fill(offsets.begin(), offsets.end(), 0);  // lengths become 0: no reads beyond the buffers
  for (auto* floats : {&logprobs, &entropy, &hidden, &top_logprobs, &word_end}) {
    std::fill(floats->begin(), floats->end(), kNone);
  }
  std::fill(text.begin(), text.end(), '#');
  std::fill(top_ids.begin(), top_ids.end(), -1);
  std::fill(ranks.begin(), ranks.end(), -1);
  shape_ = {};
}

bool SyntheticBlock::same_data(const SyntheticBlock& other) const {
  const auto data = [](const SyntheticBlock& b) {
    return std::tie(b.tokens, b.offsets, b.logprobs, b.entropy, b.hidden, b.text, b.top_ids, b.top_logprobs,
                    b.word_end, b.ranks);
  };
  return data(*this) == data(other);
}

std::string_view name_of(SyntheticKind kind) {
  switch (kind) {
    case SyntheticKind::kEmpty:
      return "empty";
    case SyntheticKind::kProse:
      return "prose";
    case SyntheticKind::kLog:
      return "log";
    case SyntheticKind::kRandomBytes:
      return "random bytes";
    case SyntheticKind::kLongLine:
      return "one long line";
  }
  return "unknown";
}

SyntheticDocument::SyntheticDocument(SyntheticKind kind, std::uint64_t seed, std::int32_t top_k)
    : SyntheticDocument(text_of(kind, seed), seed, top_k) {}

SyntheticDocument::SyntheticDocument(std::string text, std::uint64_t seed, std::int32_t top_k) {
  Random random(seed);
  whole_ = tokenized(std::move(text), random, top_k);
  cuts_ = random_cuts(whole_.length(), random);
}

SyntheticDocument::SyntheticDocument(SyntheticBlock whole, std::vector<std::size_t> cuts)
    : whole_(std::move(whole)), cuts_(std::move(cuts)) {}

SyntheticBlock SyntheticDocument::block(std::size_t index) const {
  const std::size_t end = index + 1 < cuts_.size() ? cuts_[index + 1] : whole_.length();
  return whole_.slice(index, cuts_[index], end - cuts_[index]);
}

}  // namespace unroll
