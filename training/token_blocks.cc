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
    const std::function<void(std::span<const std::int32_t> tokens, std::uint64_t bytes)>& take) {
  StreamingTokenizer tokenizer(std::move(vocabulary));
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file))
    throw std::runtime_error("cannot read " + file.string() + " as a file");

  std::uint64_t bytes = 0;
  std::vector<Token> tokens;
  const auto take_first = [&](std::size_t length) {
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < length; ++i) ids.push_back(tokens[i].id);
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length));
    take(ids, bytes);
  };
  std::string chunk(kChunkBytes, '\0');
  while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0) {
    const auto count = static_cast<std::size_t>(in.gcount());
    bytes += count;
    tokenizer.append(std::string_view(chunk).substr(0, count), tokens);
    while (tokens.size() >= width) take_first(width);
  }
  tokenizer.finish(tokens);
  while (!tokens.empty()) take_first(std::min(width, tokens.size()));
  return bytes;
}

}  // namespace unroll
