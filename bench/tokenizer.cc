// bench_tokenizer VOCABULARY FILE: measures how fast a vocabulary reads a file on one thread. Prints MB/s of
// the best of five rounds, and the number of tokens. bench/tokenizer.py compares it with the `tokenizers`
// package.
#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

int main(int argc, char** argv) {
  using namespace unroll;
  using Clock = std::chrono::steady_clock;
  constexpr int kRounds = 5;
  constexpr std::size_t kChunkBytes = 64 * 1024;
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_tokenizer VOCABULARY FILE\n");
    return 2;
  }
  const auto vocabulary = Vocabulary::load(argv[1]);
  std::ifstream in(argv[2], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::vector<Token> tokens;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    tokens.clear();
    const auto begin = Clock::now();
    StreamingTokenizer tokenizer(vocabulary);
    for (std::size_t i = 0; i < text.size(); i += kChunkBytes)
      tokenizer.append(std::string_view(text).substr(i, kChunkBytes), tokens);
    tokenizer.finish(tokens);
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    best = std::max(best, static_cast<double>(text.size()) / 1e6 / seconds.count());
  }
  std::printf("%.2f MB/s, %zu tokens\n", best, tokens.size());
}
