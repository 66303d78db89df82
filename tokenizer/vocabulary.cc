#include <array>
#include <filesystem>
#include <stdexcept>

#include <sentencepiece_processor.h>

#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581: how SentencePiece writes a space

std::string piece_bytes(std::string_view piece) {
  std::string bytes;
  while (!piece.empty()) {
    const bool mark = piece.starts_with(kSpaceMark);
    bytes += mark ? ' ' : piece.front();
    piece.remove_prefix(mark ? kSpaceMark.size() : 1);
  }
  return bytes;
}

/// What SentencePiece may see: valid UTF-8, no space mark (it would come back as a space), and no control
/// characters (NUL ends a string for some of its parts).
std::size_t plain_length(std::string_view bytes) {
  std::size_t length = 0;
  while (length < bytes.size()) {
    const auto rest = bytes.substr(length);
    const auto character = utf8_character_length(rest);
    const bool control = static_cast<unsigned char>(rest.front()) < 0x20 && rest.front() != '\t';
    if (character == 0 || control || rest.starts_with(kSpaceMark)) break;
    length += character;
  }
  return length;
}

}  // namespace

struct Vocabulary::Impl {
  sentencepiece::SentencePieceProcessor processor;
  std::vector<std::string> pieces;           // by id
  std::array<std::int32_t, 256> byte_ids{};  // by byte

  /// Pieces of valid text; its own bytes where the pieces would not give them back.
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
    std::vector<int> encoded;
    const bool known = processor.Encode(text, &encoded).ok();
    if (known && gives_back(encoded, text)) {
      ids.insert(ids.end(), encoded.begin(), encoded.end());
    } else {
      for (const auto byte : text) ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    }
  }

  bool gives_back(const std::vector<int>& ids, std::string_view text) const {
    for (const auto id : ids) {
      const auto& piece = pieces[static_cast<std::size_t>(id)];
      if (piece.empty() || !text.starts_with(piece)) return false;
      text.remove_prefix(piece.size());
    }
    return text.empty();
  }
};

Vocabulary::Vocabulary(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Vocabulary::~Vocabulary() = default;

std::shared_ptr<const Vocabulary> Vocabulary::load(const std::filesystem::path& file) {
  const auto fail = [&](const std::string& problem) {
    throw std::runtime_error(file.string() + ": " + problem);
  };
  if (!std::filesystem::is_regular_file(file)) {
    fail("no such file; a checkpoint's folder holds tokenizer.model beside model.safetensors");
  }
  auto impl = std::make_unique<Impl>();
  auto& processor = impl->processor;
  if (!processor.Load(file.string()).ok()) fail("not a SentencePiece model, or one that is damaged");
  if (processor.bos_id() != kBeginOfDocument) fail("its <s> is not piece 1; train it with --bos_id=1");
  impl->byte_ids.fill(-1);
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    const auto& piece = processor.IdToPiece(id);
    if (processor.IsByte(id)) {  // <0xHH>
      const auto byte = std::stoul(piece.substr(3, 2), nullptr, 16);
      impl->byte_ids[byte] = id;
      impl->pieces.emplace_back(1, static_cast<char>(byte));
    } else if (processor.IsControl(id) || processor.IsUnknown(id)) {
      impl->pieces.emplace_back();
    } else {
      impl->pieces.push_back(piece_bytes(piece));
    }
  }
  for (const auto id : impl->byte_ids) {
    if (id < 0) fail("it lacks byte pieces; train it with --byte_fallback=true");
  }
  std::vector<int> ids;
  const std::string_view sample =
      "  Two  spaces, \xEF\xAC\x81 and \xC2\xBD ";  // NFKC would change the last two
  if (!processor.Encode(sample, &ids).ok() || !impl->gives_back(ids, sample)) {
    fail(
        "it changes text before it cuts it; train it with --normalization_rule_name=identity "
        "--add_dummy_prefix=false --remove_extra_whitespaces=false");
  }
  return std::shared_ptr<const Vocabulary>(new Vocabulary(std::move(impl)));
}

std::int32_t Vocabulary::size() const {
  return static_cast<std::int32_t>(impl_->pieces.size());
}

std::string_view Vocabulary::bytes(std::int32_t id) const {
  return impl_->pieces.at(static_cast<std::size_t>(id));
}

const std::vector<std::string>& Vocabulary::tokens() const {
  return impl_->pieces;
}

std::string Vocabulary::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  for (const auto id : ids) bytes += this->bytes(id);
  return bytes;
}

void Vocabulary::encode_segment(std::string_view segment, std::vector<std::int32_t>& ids) const {
  while (!segment.empty()) {
    const auto plain = plain_length(segment);
    if (plain > 0) impl_->encode_plain(segment.substr(0, plain), ids);
    segment.remove_prefix(plain);
    if (segment.empty()) break;
    ids.push_back(impl_->byte_ids[static_cast<unsigned char>(segment.front())]);
    segment.remove_prefix(1);
  }
}

}  // namespace unroll
