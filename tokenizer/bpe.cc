#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "base/utf8.h"

namespace unroll {
namespace {

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32U) | static_cast<std::uint32_t>(right);
}

std::size_t hash(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15U;  // 2^64 divided by the golden ratio: spreads the low bits upwards
  return static_cast<std::size_t>(pair >> 32U);
}

}  // namespace

/// One symbol of a linked list from left to right. `id` -1: merged into the symbol before.
struct Bpe::Symbol {
  std::int32_t id;
  std::uint32_t bytes;
  std::int32_t before, after;  // -1: none
};

struct Bpe::Candidate {
  std::uint32_t rank;
  std::int32_t left;  // index of the left symbol
  std::int32_t result;
  bool operator>(const Candidate& other) const {
    return std::pair(rank, left) > std::pair(other.rank, other.left);
  }
};

Bpe::Scratch::Scratch() = default;
Bpe::Scratch::Scratch(Scratch&&) noexcept = default;
Bpe::Scratch::~Scratch() = default;

Piece Alphabet::first(std::string_view text) const {
  if (!characters.empty()) {
    const auto character = next_utf8(text);
    const auto found = character.valid ? characters.find(character.code) : characters.end();
    if (found != characters.end()) return {found->second, static_cast<std::uint32_t>(character.bytes)};
  }
  return {bytes[static_cast<unsigned char>(text.front())], 1};
}

Bpe::Bpe(std::span<const Merge> merges, Alphabet alphabet)
    : table_(std::bit_ceil(2 * merges.size() + 2)), alphabet_(std::move(alphabet)) {
  std::uint32_t rank = 0;
  for (const auto& merge : merges) {
    const auto pair = pair_of(merge.left, merge.right);
    auto at = hash(pair) & (table_.size() - 1);
    while (table_[at].pair != kFree && table_[at].pair != pair) at = (at + 1) & (table_.size() - 1);
    // If a pair occurs twice, the last one counts, as in the `tokenizers` package.
    table_[at] = {pair, rank++, merge.result};
  }
}

const Bpe::Slot* Bpe::find(std::int32_t left, std::int32_t right) const {
  const auto pair = pair_of(left, right);
  for (auto at = hash(pair) & (table_.size() - 1); table_[at].pair != kFree;
       at = (at + 1) & (table_.size() - 1)) {
    if (table_[at].pair == pair) return &table_[at];
  }
  return nullptr;
}

void Bpe::add_candidate(Scratch& scratch, std::int32_t left) const {
  if (left < 0) return;
  const auto& symbol = scratch.symbols[static_cast<std::size_t>(left)];
  if (symbol.after < 0) return;
  const auto* merge = find(symbol.id, scratch.symbols[static_cast<std::size_t>(symbol.after)].id);
  if (!merge) return;
  scratch.heap.push_back({merge->rank, left, merge->result});
  std::ranges::push_heap(scratch.heap, std::greater<>());
}

void Bpe::encode(std::string_view word, std::optional<std::int32_t> prefix, Scratch& scratch,
                 std::vector<Piece>& pieces) const {
  auto& [symbols, heap] = scratch;
  symbols.clear();
  heap.clear();
  std::uint32_t without = 0;  // bytes before the first that has a token
  if (prefix) symbols.push_back({*prefix, 0, -1, 1});
  for (Piece symbol{}; !word.empty(); word.remove_prefix(symbol.bytes)) {
    symbol = alphabet_.first(word);
    const auto place = static_cast<std::int32_t>(symbols.size());
    if (symbol.id >= 0) {
      symbols.push_back({symbol.id, symbol.bytes + std::exchange(without, 0), place - 1, place + 1});
    } else {
      ++(symbols.empty() ? without : symbols.back().bytes);
    }
  }
  if (symbols.empty()) return;
  symbols.back().after = -1;
  for (std::size_t i = 0; i < symbols.size(); ++i) add_candidate(scratch, static_cast<std::int32_t>(i));
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::greater<>());
    const auto candidate = heap.back();
    heap.pop_back();
    auto& left = symbols[static_cast<std::size_t>(candidate.left)];
    if (left.id < 0 || left.after < 0) continue;
    auto& right = symbols[static_cast<std::size_t>(left.after)];
    const auto* merge = find(left.id, right.id);
    // One of the two symbols may have changed. Another pair with the same result is merged in the place of
    // the one that was found, as in the `tokenizers` package.
    if (!merge || merge->result != candidate.result) continue;
    left.id = candidate.result;
    left.bytes += right.bytes;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) symbols[static_cast<std::size_t>(left.after)].before = candidate.left;
    add_candidate(scratch, left.before);
    add_candidate(scratch, candidate.left);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].after) {
    const auto& symbol = symbols[static_cast<std::size_t>(i)];
    pieces.push_back({symbol.id, symbol.bytes});
  }
}

}  // namespace unroll
