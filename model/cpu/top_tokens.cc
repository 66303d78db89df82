#include "model/cpu/top_tokens.h"

#include <algorithm>

namespace unroll {

void TopTokens::insert(Token token) {
  if (tokens_.size() == count_) {
    if (!(token < tokens_.front())) return;
    std::ranges::pop_heap(tokens_, std::less<>());
    tokens_.pop_back();
  }
  tokens_.push_back(token);
  std::ranges::push_heap(tokens_, std::less<>());
  if (tokens_.size() == count_) least_.store(tokens_.front().logit, std::memory_order_relaxed);
}

std::span<const TopTokens::Token> TopTokens::sorted() {
  std::ranges::sort(tokens_, std::less<>());
  return tokens_;
}

}  // namespace unroll
