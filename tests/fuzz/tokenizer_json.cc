// Any file as tokenizer.json: an error, or a vocabulary whose tokens tile any bytes, the same in any chunks.
#include <stdexcept>

#include "tests/fuzz/input.h"
#include "tests/temporary_folder.h"
#include "tokenizer/tokenizer.h"

using namespace unroll;

namespace {

std::vector<Token> tokens_of(const std::shared_ptr<const Vocabulary>& vocabulary, std::string_view document,
                             std::size_t chunk) {
  StreamingTokenizer tokenizer(vocabulary);
  std::vector<Token> tokens;
  for (; !document.empty(); document.remove_prefix(std::min(chunk, document.size())))
    tokenizer.append(document.substr(0, chunk), tokens);
  tokenizer.finish(tokens);
  return tokens;
}

void check(const std::shared_ptr<const Vocabulary>& vocabulary, std::string_view document) {
  const auto tokens = tokens_of(vocabulary, document, document.size());
  fuzz::require(tokens == tokens_of(vocabulary, document, 13), "chunks give the tokens of the whole");
  std::uint64_t place = 0;
  for (const auto& token : tokens) {
    fuzz::require(token.begin == place, "each token begins where the one before ends");
    fuzz::require(token.length > 0 || &token == tokens.data(),
                  "a token has bytes, but the first may have none");
    fuzz::require(token.id >= 0 && token.id < vocabulary->size(), "a token is in the vocabulary");
    fuzz::require(token.segment_begin <= token.begin && token.begin - token.segment_begin < kMaxSegmentBytes,
                  "a token lies in its segment");
    place += token.length;
  }
  fuzz::require(place == document.size(), "the tokens are the whole document");
}

}  // namespace

/// The file is the first document that it reads.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  const std::string file(reinterpret_cast<const char*>(data), size);
  write_file(folder / "tokenizer.json", file);
  try {
    const auto vocabulary = Vocabulary::load(folder / "tokenizer.json");
    check(vocabulary, file);
    check(vocabulary, "a e\xCC\x81\xCC\xA3  12 'll\r\n\n \xF0\x9F\x98\x80\xF0\x80" + std::string(5000, 'x'));
  } catch (const std::runtime_error&) {  // it is refused
  }
  return 0;
}
