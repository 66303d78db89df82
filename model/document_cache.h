// The document cache: mixes a document's own past into the network's next-token distribution. Repeated names,
// numbers and lines are far more likely than a small network predicts. Three experts, each weighted by how
// well it predicted this document so far:
// - counts of what followed the same 0 to 8 tokens, interpolated from the shortest context to the longest
// (Jelinek & Mercer 1980), with the network's distribution below the shortest;
// - the network;
// - a pointer that follows an earlier passage like the current one, and continues after a token that differs,
// as a log line does after a changed number (the match model of Mahoney's lpaq; Merity et al. 2017 let a
// network point).
// Each weight is a logistic function of a sum of terms, one term per property of the situation. The terms are
// learned while the document is read, by AdaGrad (Duchi, Hazan & Singer 2011) on the log-probability of the
// token that came. Caches: Kuhn & De Mori 1990; Grave, Joulin & Usunier 2017. An extension of the reference,
// off unless `document_cache_tokens` is above 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace unroll {

/// The cache of one document, constant in size. A copy is a deep copy. One thread at a time.
class DocumentCache {
 public:
  static constexpr std::size_t kMaxContext = 8;        ///< Tokens.
  static constexpr std::size_t kMaxOccurrences = 512;  ///< Of the last token: only the latest count.
  static constexpr std::size_t kPointerContext =
      6;  ///< A pointer that missed jumps to a place where this many tokens agree.

  /// `capacity`: number of tokens that it remembers, 1 or more.
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
      std::size_t kind;
      double backoff;  // weight of the next shorter context
      double total;    // how often it was seen
    };
    struct Seen {  // what followed the last token
      std::int32_t token;
      std::array<std::uint16_t, kMaxContext + 1> counts;  // by the minimum length of the context that agrees
    };
    double counted(std::int32_t token, double network) const;
    double mixed(std::int32_t token, double network) const;
    double unigram(std::int32_t token) const;
    std::size_t pointer_kind() const;
    const Seen* find(std::int32_t token) const;

    const DocumentCache* cache_ =
        nullptr;  // null: the document's first token, which is predicted by the network alone
    std::vector<Level> levels_;
    std::vector<Seen> seen_;
    double weight_ = 0;  // of the counts; the network has the rest
    std::size_t loss_kind_ = 0;
    std::uint64_t pointer_ = 0;  // 1 + a position; 0: none
    std::uint8_t history_ = 0;   // the pointer's last 8 hits, latest lowest
    std::uint8_t agreed_ = 0;    // tokens that agreed when it was set; 0 after its first miss
    std::int32_t pointed_ = -1;
    double pointer_weight_ = 0;
  };

  /// Valid until append().
  Mixture predict();
  /// Appends the token that came, and updates the weights by how well the mixture predicted it.
  void append(std::int32_t token, const Mixture& mixture, float network_logprob);

  std::size_t bytes() const;
  /// deserialize() of these bytes restores the same numbers. It throws std::runtime_error if they are damaged
  /// or of another checkpoint.
  std::vector<std::byte> serialize() const;
  static DocumentCache deserialize(std::span<const std::byte> bytes, std::int64_t num_tokens,
                                   std::int64_t capacity);

 private:
  struct Term {                    // of a weight's logit
    float value = 0, squares = 0;  // squares: sum of the gradients' squares
  };
  // Kinds of situations: a context by its length, by the number of different tokens that followed it and how
  // often; the pointer by its last hits and its context; how well the network predicted lately.
  static constexpr std::size_t kDistinct = 4, kTotals = 8, kLossKinds = 8;
  static constexpr std::size_t kContextKinds = (kMaxContext + 1) * kDistinct * kTotals;
  static constexpr std::size_t kPointerKinds = 256 * (kMaxContext + 1);
  struct Gate {  // the weight of an expert
    std::array<Term, kContextKinds> context{};
    std::array<Term, kPointerKinds> pointer{};
    std::array<Term, kLossKinds> loss{};
    double weight(const Mixture& mixture) const;
    void learn(const Mixture& mixture, double gradient);
  };
  struct Weights {
    std::array<Term, kContextKinds> backoff{};
    std::array<Term, (kMaxContext + 1) * kLossKinds> backoff_loss{};
    Gate counts, pointer;
  };
  struct Match {
    std::uint64_t position = 0;  // 1 + the position of what followed; 0: none
    std::uint32_t length = 0;
  };

  std::int32_t at(std::uint64_t position) const { return tokens_[position % tokens_.size()]; }
  std::uint64_t oldest() const { return count_ > tokens_.size() ? count_ - tokens_.size() : 0; }
  static std::size_t context_kind(std::size_t context, std::size_t distinct, std::size_t total);
  std::size_t loss_kind() const;
  Match find_occurrences(std::vector<Mixture::Seen>& seen);
  void add_level(std::size_t context, std::size_t distinct, std::size_t total, Mixture& mixture);
  void set_pointer(const Match& best, Mixture& mixture) const;
  void learn(std::int32_t token, const Mixture& mixture, double network);
  void remember(std::int32_t token);

  std::uint64_t count_ = 0;           // tokens so far
  std::vector<std::int32_t> tokens_;  // [capacity] a ring
  std::vector<std::uint32_t>
      previous_;  // [capacity] distance to the previous occurrence of the same token; 0: out of reach
  std::vector<std::uint32_t> last_;    // [num_tokens] latest position of tokens with a count; low 32 bits
  std::vector<std::uint32_t> counts_;  // [num_tokens] occurrences in the ring
  std::size_t distinct_ = 0;           // tokens with a count
  std::uint64_t pointer_ = 0;          // as in Mixture
  std::uint8_t history_ = 0, agreed_ = 0;
  float loss_ = 2;  // the network's, lately: a decaying mean, in nats
  Weights weights_;
  std::vector<std::uint16_t> places_;  // [num_tokens] scratch: 1 + index in a list; 0 between calls
};

}  // namespace unroll
