#include <stdexcept>

#include "base/gguf_file.h"
#include "tokenizer/gguf_vocabulary.h"
#include "tokenizer/sentencepiece_vocabulary.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json.h"

namespace unroll {
namespace {

constexpr std::string_view kAsciiSpace = " \t\n\v\f\r";

/// The file with the vocabulary in a checkpoint's folder.
std::filesystem::path file_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  const auto json = path / "tokenizer.json", model = path / "tokenizer.model";
  if (std::filesystem::exists(model)) return model;
  if (std::filesystem::exists(json)) return json;
  return find_gguf(path).value_or(model);
}

}  // namespace

std::shared_ptr<const Vocabulary> Vocabulary::load(const std::filesystem::path& path) {
  const auto file = file_of(path);
  if (!std::filesystem::is_regular_file(file)) {
    throw std::runtime_error(file.string() +
                             ": no such file; a checkpoint's folder holds tokenizer.model or tokenizer.json "
                             "beside its weights");
  }
  if (file.extension() == ".json") return load_tokenizer_json(file);
  if (file.extension() == ".gguf") return load_gguf_vocabulary(file);
  return load_sentencepiece(file);
}

const std::vector<std::uint8_t>& Vocabulary::word_ends() const {
  std::call_once(word_ends_known_, [this] {
    for (const auto& token : tokens_)
      word_ends_.push_back(!token.empty() && kAsciiSpace.find(token.front()) != std::string_view::npos);
    for (const auto id : ends_) word_ends_.at(static_cast<std::size_t>(id)) = 1;
  });
  return word_ends_;
}

std::string Vocabulary::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  for (const auto id : ids) bytes += this->bytes(id);
  return bytes;
}

}  // namespace unroll
