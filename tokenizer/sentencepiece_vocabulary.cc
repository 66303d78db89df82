#include "tokenizer/sentencepiece_vocabulary.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/utf8.h"
#include "tokenizer/space_mark.h"
#include "tokenizer/tile.h"

namespace unroll {
namespace {

/// Appended to a serialized model, where the last value counts: normalizer_spec { add_dummy_prefix: false }.
constexpr std::string_view kNoSpaceBefore("\x1A\x02\x18\x00", 4);
constexpr std::uintmax_t kMaxFileBytes = 256U << 20U;
/// Minimum length of a segment that ends before a space, so that not every word is a segment.
constexpr std::size_t kShortestSegment = 512;

/// The length of `head` without a last character that its end cuts.
std::size_t whole_characters(std::string_view head) {
  for (std::size_t back = 1; back < 4 && back <= head.size(); ++back) {
    const auto byte = static_cast<unsigned char>(head[head.size() - back]);
    if (continues_utf8(static_cast<char>(byte))) continue;
    const std::size_t length = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    return length > back ? head.size() - back : head.size();
  }
  return head.size();
}

/// Where to cut a line that is too long for one segment. Depends only on its first kMaxSegmentBytes bytes,
/// not on how they arrived: before the last space of the second half (pieces begin with their space),
/// otherwise before a character that the limit would cut.
std::size_t cut_of_long_line(std::string_view head) {
  const auto space = head.rfind(' ');
  if (space != std::string_view::npos && space >= kMaxSegmentBytes / 2) return space;
  return whole_characters(head);
}

}  // namespace

SentencePieceVocabulary::SentencePieceVocabulary(std::string_view model,
                                                 const std::filesystem::path& folder) {
  const auto load = [](auto& processor, const std::string& bytes) {
    if (!processor.LoadFromSerializedProto(bytes).ok())
      throw std::runtime_error("not a SentencePiece model, or one that is damaged");
  };
  load(whole_, std::string(model));
  load(rest_, std::string(model) += kNoSpaceBefore);
  ControlTokens control;
  read_pieces(control);
  find_joints();
  probe();
  SpecialTokens special;
  if (whole_.bos_id() < 0 || whole_.eos_id() < 0) special = special_tokens_of_folder(folder, control);
  if (whole_.bos_id() >= 0) special.begin = whole_.bos_id();
  if (whole_.eos_id() >= 0) special.add_end(whole_.eos_id());
  first_input_ = special.first_input();
  ends_ = std::move(special.ends);
}

void SentencePieceVocabulary::read_pieces(ControlTokens& control) {
  byte_ids_.fill(std::max(whole_.unk_id(), 0));
  for (int id = 0; id < whole_.GetPieceSize(); ++id) {
    const auto& piece = whole_.IdToPiece(id);
    if (whole_.IsByte(id)) {  // <0xHH>
      const auto byte = std::stoul(piece.substr(3, 2), nullptr, 16);
      byte_ids_[byte] = id;
      tokens_.emplace_back(1, static_cast<char>(byte));
    } else if (whole_.IsControl(id) || whole_.IsUnknown(id)) {
      tokens_.emplace_back();
      control[piece] = id;
    } else {
      tokens_.push_back(from_space_marks(piece));
    }
  }
}

/// Finds which control characters pieces contain, and whether a piece continues after a newline.
void SentencePieceVocabulary::find_joints() {
  for (int id = 0; id < whole_.GetPieceSize(); ++id) {
    if (whole_.IsByte(id) || whole_.IsUnused(id)) continue;
    const auto& piece = tokens_[static_cast<std::size_t>(id)];
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const auto byte = static_cast<unsigned char>(piece[i]);
      if (byte < is_in_pieces_.size()) is_in_pieces_[byte] = true;
      if (byte == '\n' && i + 1 < piece.size()) joins_newlines_ = true;
    }
  }
}

/// Determines how the vocabulary normalises.
void SentencePieceVocabulary::probe() {
  // NFKC changes the last two characters, and a vocabulary that collapses spaces changes the runs.
  const std::string_view sample = "  Two  spaces, \xEF\xAC\x81 and \xC2\xBD ";
  const auto text_of = [&](const auto& processor, std::string_view text) {
    std::vector<int> ids;
    if (!processor.Encode(text, &ids).ok()) throw std::runtime_error("it cannot encode a text");
    return decode(ids);
  };
  has_exact_rest_ = text_of(rest_, sample) == sample;
  adds_space_ = text_of(whole_, "a") != text_of(rest_, "a");
  if (const auto id = whole_.PieceToId(kSpaceMark); adds_space_ && !whole_.IsUnknown(id)) space_before_ = id;
  collapses_spaces_ = text_of(rest_, "a  a") == text_of(rest_, "a a");
  if (collapses_spaces_ && !adds_space_)
    throw std::runtime_error(
        "it makes one space of many and puts none before a text, which is not supported; train it with "
        "--remove_extra_whitespaces=false");
}

/// Length of the first segment; 0 if it depends on later bytes.
std::size_t SentencePieceVocabulary::first_segment(std::string_view bytes, bool last) const {
  const auto head = bytes.substr(0, kMaxSegmentBytes);
  const bool is_whole = head.size() == kMaxSegmentBytes;
  if (!joins_newlines_ && !collapses_spaces_) {
    const auto newline = head.find('\n');
    if (newline != std::string_view::npos) return newline + 1;
    return is_whole ? cut_of_long_line(head) : last ? head.size() : 0;
  }
  // Before a run of spaces that is followed by something: spaces at the end of a text have no tokens of their
  // own.
  std::size_t candidate = 0;
  for (std::size_t i = 1; i < head.size(); ++i) {
    if (head[i] == ' ') {
      if (head[i - 1] != ' ') candidate = i;
    } else if (candidate >= kShortestSegment) {
      return candidate;
    }
  }
  return is_whole ? cut_of_long_line(head) : last ? head.size() : 0;
}

std::size_t SentencePieceVocabulary::tokenize(const UnreadBytes& unread, std::vector<Token>& out) const {
  auto rest = unread.bytes;
  const auto done = [&] { return unread.bytes.size() - rest.size(); };
  while (!rest.empty()) {
    const auto length = first_segment(rest, unread.last);
    if (length == 0) break;
    tokenize_segment(rest.substr(0, length), unread.begin + done(), out);
    rest.remove_prefix(length);
  }
  return done();
}

/// The length of the prefix that SentencePiece can encode: valid UTF-8 without NUL, which ends a string in
/// parts of the library. With `exact`, the prefix that it restores exactly: no space mark, which would be
/// restored as a space, and no control characters except those in pieces.
std::size_t SentencePieceVocabulary::plain_length(std::string_view bytes, bool exact) const {
  std::size_t length = 0;
  while (length < bytes.size()) {
    const auto rest = bytes.substr(length);
    const auto character = utf8_character_length(rest);
    const auto byte = static_cast<unsigned char>(rest.front());
    const bool control = byte < is_in_pieces_.size() && byte != '\t' && !is_in_pieces_[byte];
    if (character == 0 || byte == 0 || (exact && (control || rest.starts_with(kSpaceMark)))) break;
    length += character;
  }
  return length;
}

void SentencePieceVocabulary::tokenize_segment(std::string_view segment, std::uint64_t begin,
                                               std::vector<Token>& out) const {
  std::vector<Placed> placed;
  for (std::size_t place = 0; place < segment.size();) {
    const bool begins = begin + place == 0;
    const auto plain = plain_length(segment.substr(place), has_exact_rest_);
    if (plain > 0) {
      encode_plain(segment.substr(place, plain), place, begins, placed);
    } else if (begins && space_before_) {
      placed.push_back({*space_before_, 0});
    }
    place += plain;
    if (place == segment.size()) break;
    add_bytes(segment.substr(place, 1), place, placed);
    ++place;
  }
  // A document may begin with a token without bytes.
  if (placed.size() > segment.size() + (begin == 0 && adds_space_ ? 1 : 0)) {
    placed.clear();
    add_bytes(segment, 0, placed);
  }
  if (placed.empty()) placed.push_back({byte_ids_[static_cast<unsigned char>(' ')], segment.size()});
  std::vector<std::size_t> ends;
  for (const auto& token : placed) ends.push_back(token.end);
  tile(ends, segment.size(), begin == 0 && adds_space_);
  std::size_t place = 0;
  for (std::size_t i = 0; i < placed.size(); ++i) {
    out.push_back({placed[i].id, static_cast<std::uint32_t>(ends[i] - place), begin + place, begin});
    place = ends[i];
  }
}

/// `place`: position of the text in its segment. `begins`: the document begins with it.
void SentencePieceVocabulary::encode_plain(std::string_view text, std::size_t place, bool begins,
                                           std::vector<Placed>& placed) const {
  if (has_exact_rest_ && !(begins && adds_space_)) {
    // Encodes as bytes if normalisation changes something that the sample does not contain.
    if (!encode_exactly(text, place, placed)) add_bytes(text, place, placed);
    return;
  }
  // If runs of spaces are collapsed, this space is the one that is put before a text.
  const bool with_space = begins || (collapses_spaces_ && text.starts_with(' '));
  const auto encoded = (with_space ? whole_ : rest_).EncodeAsImmutableProto(text);
  for (std::size_t i = 0; i < encoded.pieces_size(); ++i) {
    const auto piece = encoded.pieces(static_cast<int>(i));
    placed.push_back({static_cast<std::int32_t>(piece.id()), place + piece.end()});
  }
}

/// Returns false and adds nothing if the pieces do not restore the text.
bool SentencePieceVocabulary::encode_exactly(std::string_view text, std::size_t place,
                                             std::vector<Placed>& placed) const {
  const auto before = placed.size();
  std::vector<int> ids;
  bool exact = rest_.Encode(text, &ids).ok();
  for (const auto id : ids) {
    const auto piece = bytes(id);
    exact = exact && !piece.empty() && text.starts_with(piece);
    if (!exact) break;
    text.remove_prefix(piece.size());
    placed.push_back({id, place += piece.size()});
  }
  exact = exact && text.empty();
  if (!exact) placed.resize(before);
  return exact;
}

void SentencePieceVocabulary::add_bytes(std::string_view bytes, std::size_t place,
                                        std::vector<Placed>& placed) const {
  for (const auto byte : bytes) placed.push_back({byte_ids_[static_cast<unsigned char>(byte)], ++place});
}

std::shared_ptr<const Vocabulary> load_sentencepiece(const std::filesystem::path& file) {
  try {
    if (std::filesystem::file_size(file) > kMaxFileBytes)
      throw std::runtime_error("it is larger than 256 MiB");
    std::ifstream in(file, std::ios::binary);
    const std::string model{std::istreambuf_iterator<char>(in), {}};
    if (!in.is_open() || in.bad()) throw std::runtime_error("it cannot be read");
    return std::make_shared<const SentencePieceVocabulary>(model, file.parent_path());
  } catch (const std::exception& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

}  // namespace unroll
