#include "tokenizer/bpe_vocabulary.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/decoded_text.h"
#include "tokenizer/tile.h"

namespace unroll {
namespace {

/// Each byte is a symbol; `none` if it has no token.
Alphabet byte_alphabet(const std::vector<std::string>& tokens, std::int32_t none) {
  Alphabet alphabet;
  alphabet.bytes.fill(none);
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() != 1) continue;
    auto& of_byte = alphabet.bytes[static_cast<unsigned char>(tokens[id].front())];
    if (of_byte == none) of_byte = static_cast<std::int32_t>(id);
  }
  return alphabet;
}

Alphabet alphabet_of(BpeDescription& description) {
  if (description.alphabet) return *std::move(description.alphabet);
  return byte_alphabet(description.tokens, description.unknown.value_or(-1));
}

}  // namespace

/// The buffers of one thread.
struct BpeVocabulary::Encoder {
  explicit Encoder(const PreTokenizer& pre_tokenizer) : words(pre_tokenizer.words()) {}

  DecodedText text;
  PreTokenizer::Words words;
  Bpe::Scratch scratch;
  WordCache cache;
  std::vector<Piece> pieces;      // of the segment
  std::vector<std::size_t> ends;  // ends of the pieces in the segment
  std::uint32_t orphans = 0;      // bytes of it after the last piece that have no token

  void clear() {
    pieces.clear();
    orphans = 0;
  }
  /// Whether the first piece is a prefix alone, which takes no bytes.
  bool begins_empty() const { return !pieces.empty() && pieces.front().bytes == 0; }
  /// Pieces that need a byte.
  std::size_t filled() const { return pieces.size() - (begins_empty() ? 1 : 0); }
};

/// Holds an encoder during its lifetime.
class BpeVocabulary::Lease {
 public:
  explicit Lease(const BpeVocabulary& vocabulary) : vocabulary_(vocabulary) {
    const std::lock_guard lock(vocabulary.mutex_);
    if (vocabulary.idle_.empty()) {
      encoder_ = std::make_unique<Encoder>(vocabulary.pre_tokenizer_);
    } else {
      encoder_ = std::move(vocabulary.idle_.back());
      vocabulary.idle_.pop_back();
    }
  }
  ~Lease() {
    const std::lock_guard lock(vocabulary_.mutex_);
    vocabulary_.idle_.push_back(std::move(encoder_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Encoder& operator*() { return *encoder_; }

 private:
  const BpeVocabulary& vocabulary_;
  std::unique_ptr<Encoder> encoder_;
};

/// In units of the decoded text.
struct BpeVocabulary::Segment {
  std::size_t begin, end;
};

BpeVocabulary::BpeVocabulary(BpeDescription description)
    : pre_tokenizer_(std::move(description.cuts)),
      bpe_(description.merges, alphabet_of(description)),
      nfc_(description.nfc),
      prefix_(description.prefix),
      prefix_unless_there_(description.prefix_unless_there) {
  tokens_ = std::move(description.tokens);
  first_input_ = description.special.first_input();
  ends_ = std::move(description.special.ends);
  if (!description.whole_words) return;
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    if (!tokens_[id].empty()) whole_words_.emplace(tokens_[id], static_cast<std::int32_t>(id));
  }
}

BpeVocabulary::~BpeVocabulary() = default;

std::size_t BpeVocabulary::tokenize(const UnreadBytes& unread, std::vector<Token>& out) const {
  Lease lease(*this);
  auto& encoder = *lease;
  auto& text = encoder.text;
  text.decode(unread.bytes, unread.last, nfc_);
  encoder.words.set_text(text.units());
  Segment segment{0, 0};
  while (segment.begin < text.size() && encode_segment(encoder, unread, segment)) {
    emit(encoder, unread, segment, out);
    segment.begin = segment.end;
  }
  return text.origin(text.place(segment.begin));
}

/// Encodes the segment that begins at segment.begin and sets its end. Returns false if the end depends on
/// later bytes.
bool BpeVocabulary::encode_segment(Encoder& encoder, const UnreadBytes& unread, Segment& segment) const {
  auto& text = encoder.text;
  auto& words = encoder.words;
  // Words are searched in a window that depends only on its bytes, or in the part of it that has arrived.
  const auto limit = text.window_end(segment.begin, kMaxSegmentBytes);
  const auto arrived = unread.bytes.size() - text.origin(text.place(segment.begin));
  const bool has_window = unread.last || arrived >= kMaxSegmentBytes;
  bool ended = unread.last && limit == text.size(), is_cut = false;
  segment.end = segment.begin;
  words.restart(segment.begin);
  encoder.clear();
  while (!ended || segment.end < limit) {
    const auto end = words.next(limit, ended);
    if (!end) {
      if (!has_window) return false;
      // No word ends in the window, so the segment ends with it.
      is_cut = ended = true;
      segment.end = segment.begin;
      words.restart(segment.begin);
      encoder.clear();
      continue;
    }
    const auto place = text.place(segment.end);
    const auto word = text.text().substr(place, text.place(*end) - place);
    encode_word(encoder, word, prefix_at(unread.begin + text.origin(place), word));
    segment.end = *end;
    const auto bytes = text.origin(text.place(*end)) - text.origin(text.place(segment.begin));
    if (!is_cut && !encoder.pieces.empty() && encoder.filled() <= bytes && text.can_restart(*end) &&
        words.can_restart()) {
      break;
    }
  }
  end_segment(encoder);
  return true;
}

/// The symbol that is put before a word at that place of the document.
std::optional<std::int32_t> BpeVocabulary::prefix_at(std::uint64_t place, std::string_view word) const {
  if (place > 0 || (prefix_unless_there_ && word.starts_with(' '))) return std::nullopt;
  return prefix_;
}

void BpeVocabulary::encode_word(Encoder& encoder, std::string_view word,
                                std::optional<std::int32_t> prefix) const {
  auto& pieces = encoder.pieces;
  const auto before = pieces.size();
  WordCache::Entry* entry = WordCache::takes(word) && !prefix ? &encoder.cache.place(word) : nullptr;
  if (entry && entry->is(word)) {
    for (std::size_t i = 0; i < entry->tokens; ++i)
      pieces.push_back({entry->ids[i], static_cast<std::uint32_t>(bytes(entry->ids[i]).size())});
  } else {
    if (const auto whole = whole_words_.find(word); whole != whole_words_.end()) {
      pieces.push_back({whole->second, static_cast<std::uint32_t>(word.size())});
    } else {
      bpe_.encode(word, prefix, encoder.scratch, pieces);
    }
    if (entry) keep(*entry, word, std::span(pieces).subspan(before));
  }
  if (pieces.size() == before) {
    encoder.orphans += static_cast<std::uint32_t>(word.size());
  } else {
    pieces[before].bytes += std::exchange(encoder.orphans, 0);
  }
}

/// Stores the word's tokens in the cache, which holds only ids: every byte of the word must have a token.
void BpeVocabulary::keep(WordCache::Entry& entry, std::string_view word,
                         std::span<const Piece> pieces) const {
  if (pieces.empty() || pieces.size() > WordCache::kMaxTokens) return;
  for (const auto& piece : pieces) {
    if (piece.bytes != bytes(piece.id).size()) return;
  }
  entry.set(word);
  entry.tokens = static_cast<std::uint8_t>(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) entry.ids[i] = pieces[i].id;
}

/// Ensures that a segment has a token and that its tokens cover all of its bytes.
void BpeVocabulary::end_segment(Encoder& encoder) const {
  const auto orphans = std::exchange(encoder.orphans, 0);
  if (encoder.pieces.empty()) {
    encoder.pieces.push_back({first_input_, orphans});
  } else {
    encoder.pieces.back().bytes += orphans;
  }
}

void BpeVocabulary::emit(Encoder& encoder, const UnreadBytes& unread, const Segment& segment,
                         std::vector<Token>& out) const {
  const auto& text = encoder.text;
  auto& pieces = encoder.pieces;
  auto place = text.place(segment.begin);
  const auto first = text.origin(place), last = text.origin(text.place(segment.end));
  if (encoder.filled() > last - first) {
    emit_as_it_is(encoder, unread.bytes.substr(first, last - first), unread.begin + first, out);
    return;
  }
  auto& ends = encoder.ends;
  ends.clear();
  for (const auto& piece : pieces) {
    place += piece.bytes;
    ends.push_back(text.origin(place) - first);
  }
  // If composition made characters longer, there may be more tokens than bytes.
  if (!text.is_original()) tile(ends, last - first, false);
  const auto begin = unread.begin + first;
  std::size_t done = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    out.push_back({pieces[i].id, static_cast<std::uint32_t>(ends[i] - done), begin + done, begin});
    done = ends[i];
  }
}

/// Encodes a segment without normal form, because with it there would be more tokens than bytes.
void BpeVocabulary::emit_as_it_is(Encoder& encoder, std::string_view bytes, std::uint64_t begin,
                                  std::vector<Token>& out) const {
  DecodedText text;
  text.decode(bytes, true, false);
  encoder.words.set_text(text.units());
  encoder.clear();
  for (std::size_t word = 0; word < text.size();) {
    const auto end = *encoder.words.next(text.size(), true);
    encode_word(encoder, bytes.substr(text.place(word), text.place(end) - text.place(word)), std::nullopt);
    word = end;
  }
  end_segment(encoder);
  auto place = begin;
  for (const auto& piece : encoder.pieces) {
    out.push_back({piece.id, piece.bytes, place, begin});
    place += piece.bytes;
  }
  encoder.words.set_text(encoder.text.units());
}

}  // namespace unroll
