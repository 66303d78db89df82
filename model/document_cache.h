// What a document has said before, mixed into the network's next-token distribution: names, numbers and whole
// lines that come again are far likelier than any network of this size can tell. Counts of what followed the
// same 0 to 8 tokens are interpolated by absolute discounting (Ney, Essen & Kneser 1994) down to the
// network's own distribution at the bottom; network and counts are then mixed by weights learned as the
// document goes (expectation maximisation, one weight for each kind of context), as in the cache models of
// Kuhn & De Mori 1990 and Grave, Joulin & Usunier 2017. An extension of the reference: off unless
// `document_cache_tokens` says how far back the cache reaches.
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
    struct Seen {
      std::int32_t token;
      double probability;
    };
    double unigram(std::int32_t token) const;
    double counted(std::int32_t token) const;

    const DocumentCache* cache_ = nullptr;
    double weight_ = 0;         // of the counts; the network has the rest
    double network_share_ = 1;  // of the network inside the counts
    double unigram_share_ = 0;
    std::vector<Seen> seen_;  // what followed this context, by token
    std::size_t bucket_ = 0;
  };

  /// Valid until append().
  Mixture predict() const;
  /// The token came: it is remembered, and what the mixture thought of it teaches the weights.
  void append(std::int32_t token, const Mixture& mixture, float network_logprob);

  std::size_t bytes() const;
  /// The same numbers after deserialize() of the same checkpoint. Throws std::runtime_error where they are
  /// not.
  std::vector<std::byte> serialize() const;
  static DocumentCache deserialize(std::span<const std::byte> bytes, std::int64_t num_tokens,
                                   std::int64_t capacity);

 private:
  static constexpr std::size_t kMaxContext = 8;        // tokens
  static constexpr std::size_t kMaxOccurrences = 128;  // of a context, the latest ones
  static constexpr std::size_t kBuckets = (kMaxContext + 1) * 3 * 4;
  struct Weight {
    double counts = 1, total = 2;
  };
  struct Occurrence {
    std::int32_t next;
    std::uint32_t length;  // of the context that it shares
  };

  std::int32_t at(std::uint64_t position) const { return tokens_[position % tokens_.size()]; }
  std::uint64_t oldest() const { return count_ > tokens_.size() ? count_ - tokens_.size() : 0; }
  std::size_t find(std::span<Occurrence> occurrences) const;
  void interpolate(std::span<Occurrence> occurrences, Mixture& mixture) const;
  static std::size_t bucket(std::size_t context, std::size_t distinct, std::size_t total);
  void remember(std::int32_t token);

  std::uint64_t count_ = 0;              // tokens so far
  std::vector<std::int32_t> tokens_;     // [capacity] a ring
  std::vector<std::uint32_t> previous_;  // [capacity] how far back the same token was before; 0: out of reach
  std::vector<std::uint64_t> last_;      // [num_tokens] 1 + position of the latest; 0: none
  std::vector<std::uint32_t> counts_;    // [num_tokens] in the ring
  std::size_t distinct_ = 0;             // tokens with a count
  std::array<Weight, kBuckets> weights_{};
};

}  // namespace unroll
