// However the bytes are cut into chunks: the same tokens and byte ranges, which tile the document and decode
// to it.
#include "tests/fuzz/input.h"
#include "tokenizer/tokenizer.h"

using namespace unroll;

namespace {

void check_tiles(const std::vector<Token>& tokens, std::string_view document, const Vocabulary& vocabulary) {
  std::uint64_t place = 0;
  for (const auto& token : tokens) {
    fuzz::require(token.begin == place && token.length > 0, "each token begins where the one before ends");
    fuzz::require(token.segment_begin <= token.begin && token.begin - token.segment_begin < kMaxSegmentBytes,
                  "a token lies in its segment");
    fuzz::require(place + token.length <= document.size() &&
                      document.substr(place, token.length) == vocabulary.bytes(token.id),
                  "a token stands for the bytes at its place");
    place += token.length;
  }
  fuzz::require(place == document.size(), "the tokens are the whole document");
}

}  // namespace

/// 16 bytes give the chunks' sizes, in turn; the rest is the document.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto vocabulary =
      Vocabulary::load(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model");
  fuzz::Input input(data, size);
  const auto sizes = input.take(16);
  const auto document = input.rest();

  std::vector<Token> whole, pieces;
  StreamingTokenizer at_once(vocabulary), in_chunks(vocabulary);
  at_once.append(document, whole);
  at_once.finish(whole);
  auto rest = document;
  for (std::size_t i = 0; !rest.empty(); ++i) {
    const auto chunk = static_cast<std::uint8_t>(sizes[i % sizes.size()]);
    const auto part = rest.substr(0, i % 2 == 0 ? chunk + 1u : chunk);  // every second chunk may be empty
    rest.remove_prefix(part.size());
    in_chunks.append(part, pieces);
    fuzz::require(in_chunks.pending_bytes() < 2 * kMaxSegmentBytes, "what is held back is bounded");
  }
  in_chunks.finish(pieces);
  fuzz::require(whole == pieces, "chunks give the tokens of the whole");
  check_tiles(whole, document, *vocabulary);
  return 0;
}
