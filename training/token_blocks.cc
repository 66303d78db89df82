#include "training/token_blocks.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace unroll {
namespace {
constexpr std::size_t kChunkBytes = 64 * 1024;
}  // namespace

std::uint64_t for_each_block(
    const std::filesystem::path& file, std::shared_ptr<const Vocabulary> vocabulary, std::size_t width,
    const std::function<bool(std::span<const std::int32_t> tokens, std::uint64_t end)>& take) {
  StreamingTokenizer tokenizer(std::move(vocabulary));
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file))
    throw std::runtime_error("cannot read " + file.string() + " as a file");

  std::uint64_t end = 0;
  std::vector<Token> tokens;
  const auto take_blocks = [&](std::size_t least) {
    std::size_t first = 0;
    bool go_on = true;
    while (go_on && tokens.size() - first >= least) {
      const std::span block(tokens.data() + first, std::min(width, tokens.size() - first));
      std::vector<std::int32_t> ids;
      for (const auto& token : block) ids.push_back(token.id);
      end = block.back().begin + block.back().length;
      go_on = take(ids, end);
      first += block.size();
    }
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(first));
    return go_on;
  };
  std::string chunk(kChunkBytes, '\0');
  while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0) {
    tokenizer.append(std::string_view(chunk).substr(0, static_cast<std::size_t>(in.gcount())), tokens);
    if (!take_blocks(width)) return end;
  }
  tokenizer.finish(tokens);
  take_blocks(1);
  return end;
}

}  // namespace unroll
