// What a document has said before, mixed into the network's next-token distribution: names, numbers and whole
// lines that come again are far likelier than any network of this size can tell. Three experts, each weighed
// by how it did in the document so far:
// - counts of what followed the same 0 to 8 tokens, interpolated from the shortest context to the longest
// (Jelinek &
//   Mercer 1980), with the network's own distribution below the shortest;
// - the network itself;
// - a pointer that runs along an earlier passage like this one and goes on behind a token that differs, as a
// line of a log
//   does behind its changed number (the match model of Mahoney's lpaq; Merity et al. 2017 let a network
//   point).
// All weights are learned as the document goes, by expectation maximisation, one for each kind of situation.
// The idea of a cache: Kuhn & De Mori 1990; Grave, Joulin & Usunier 2017. An extension of the reference: off
// unless `document_cache_tokens` says how far back the cache reaches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace unroll {

/// One document's. Constant in size; a copy is a copy of all of it. One thread at a time.
class DocumentCache {
 public:
  static constexpr std::size_t kMaxContext = 8;        ///< Tokens.
  static constexpr std::size_t kMaxOccurrences = 512;  ///< Of the last token: the latest ones count.
  static constexpr std::size_t kPointerContext =
      6;  ///< A pointer that missed jumps to where so many tokens agree.

  /// `capacity`: tokens that it remembers, 1 or more.
  DocumentCache(std::int64_t num_tokens, std::int64_t capacity);

  /// The distribution of the next token, given the network's.
  class Mixture {
   public:
    /// log p(token) in nats, from the network's log p(token).
    float logprob(std::int32_t token, float network_logprob) const;
    /// The same for the whole vocabulary: [num_tokens] nats, in place.
    void apply(std::span<float> network_logprobs) const;

   private:
    friend class DocumentCache;
    struct Level {  // a context that was seen before
      std::size_t bucket;
      double backoff;  // weight of the next shorter context
      double total;    // how often it was seen
    };
    struct Seen {  // what followed the last token
      std::int32_t token;
      std::array<std::uint16_t, kMaxContext + 1> counts;  // by length of the context that agrees, at least
    };
    double counted(std::int32_t token, double network) const;
    double mixed(std::int32_t token, double network) const;
    double unigram(std::int32_t token) const;
    const Seen* find(std::int32_t token) const;

    const DocumentCache* cache_ = nullptr;  // null: the document's first token, which is the network's alone
    std::vector<Level> levels_;
    std::vector<Seen> seen_;
    std::size_t bucket_ = 0;
    double weight_ = 0;          // of the counts; the network has the rest
    std::uint64_t pointer_ = 0;  // 1 + a position; 0: none
    std::uint8_t history_ = 0;   // the pointer's last 8 hits, latest lowest
    std::uint8_t agreed_ = 0;    // tokens that agreed where it was set; 0 since its first miss
    std::int32_t pointed_ = -1;
    double pointer_weight_ = 0;
  };

  /// Valid until append().
  Mixture predict();
  /// The token came: it is remembered, and what the mixture thought of it teaches the weights.
  void append(std::int32_t token, const Mixture& mixture, float network_logprob);

  std::size_t bytes() const;
  /// The same numbers after deserialize() of the same checkpoint. Throws std::runtime_error where they are
  /// not.
  std::vector<std::byte> serialize() const;
  static DocumentCache deserialize(std::span<const std::byte> bytes, std::int64_t num_tokens,
                                   std::int64_t capacity);

 private:
  struct Weight {
    double share = 0, total = 0;
    double value() const { return share / total; }
  };
  static constexpr std::size_t kDistinct = 4,
                               kTotals = 8;  // kinds of a context: how many different tokens, how often
  static constexpr std::size_t kLevelBuckets = (kMaxContext + 1) * kDistinct * kTotals;
  static constexpr std::size_t kMixtureBuckets = kLevelBuckets;
  static constexpr std::size_t kPointerBuckets = 256 * (kMaxContext + 1);
  struct Weights {
    std::array<Weight, kLevelBuckets> levels{};
    std::array<Weight, kMixtureBuckets> mixture{};
    std::array<Weight, kPointerBuckets> pointer{};
  };
  struct Match {
    std::uint64_t position = 0;  // 1 + that of what followed; 0: none
    std::uint32_t length = 0;
  };

  std::int32_t at(std::uint64_t position) const { return tokens_[position % tokens_.size()]; }
  std::uint64_t oldest() const { return count_ > tokens_.size() ? count_ - tokens_.size() : 0; }
  static std::size_t bucket(std::size_t context, std::size_t distinct, std::size_t total);
  Match find_occurrences(std::vector<Mixture::Seen>& seen);
  void add_level(std::size_t context, std::size_t distinct, std::size_t total, Mixture& mixture);
  void set_pointer(const Match& best, Mixture& mixture) const;
  void learn(std::int32_t token, const Mixture& mixture, double network);
  void remember(std::int32_t token);

  std::uint64_t count_ = 0;              // tokens so far
  std::vector<std::int32_t> tokens_;     // [capacity] a ring
  std::vector<std::uint32_t> previous_;  // [capacity] how far back the same token was before; 0: out of reach
  std::vector<std::uint32_t>
      last_;  // [num_tokens] position of the latest, where there is a count; low 32 bits
  std::vector<std::uint32_t> counts_;  // [num_tokens] in the ring
  std::size_t distinct_ = 0;           // tokens with a count
  std::uint64_t pointer_ = 0;          // as in Mixture
  std::uint8_t history_ = 0, agreed_ = 0;
  Weights weights_;
  std::vector<std::uint16_t> places_;  // [num_tokens] scratch: 1 + place in a list, 0 between calls
};

}  // namespace unroll
