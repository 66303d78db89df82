// Byte pair encoding of one word, with the merges that a vocabulary was trained with.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace unroll {

/// Two tokens that become one. The position in the list of all merges is the rank: the lowest is applied
/// first.
struct Merge {
  std::int32_t left, right, result;
};

/// A token, and the number of bytes of the word that it takes.
struct Piece {
  std::int32_t id;
  std::uint32_t bytes;
};

/// The symbols that a word consists of before anything is merged: its characters that have a token, and the
/// bytes of all others.
struct Alphabet {
  std::unordered_map<char32_t, std::int32_t> characters;  ///< Empty in byte-level BPE.
  std::array<std::int32_t, 256> bytes;                    ///< The token of each byte; -1 if it has none.

  /// The first symbol of `text`, which must not be empty.
  Piece first(std::string_view text) const;
};

/// Immutable.
class Bpe {
 public:
  Bpe(std::span<const Merge> merges, Alphabet alphabet);

  struct Symbol;
  struct Candidate;
  /// Buffers for encode(). One thread.
  struct Scratch {
    Scratch();
    Scratch(Scratch&&) noexcept;
    ~Scratch();
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Appends the word's tokens: repeatedly merges the pair with the lowest rank, the leftmost first. A byte
  /// without a token is added to a neighbouring token; a word of only such bytes has no token. `prefix`: a
  /// symbol before the word, which takes none of its bytes. O(n log n).
  void encode(std::string_view word, std::optional<std::int32_t> prefix, Scratch& scratch,
              std::vector<Piece>& pieces) const;

 private:
  struct Slot {
    std::uint64_t pair = kFree;
    std::uint32_t rank = 0;
    std::int32_t result = 0;
  };
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};

  const Slot* find(std::int32_t left, std::int32_t right) const;
  void add_candidate(Scratch& scratch, std::int32_t left) const;

  std::vector<Slot> table_;  // open addressing; the size is a power of two
  Alphabet alphabet_;
};

}  // namespace unroll
