// words: how surprising each word was to the model, with the probability that it ends where it does.
//
// A word is a run of bytes that are not ASCII white space; what is between words are separators. A token
// belongs to the word that contains its first byte that is not white space; a token of only white space, to
// the separator.
//
// Most vocabularies put the space before a word into its first token. Then the product of a word's tokens
// says that the word before it has ended, but not that this one has. Boundary "corrected" (Pimentel & Meister
// 2024, arXiv 2406.14561; Oh & Schuler 2024, arXiv 2406.10851) moves that: with E(i) the probability that a
// token that begins with white space, or ends the text, comes at i,
//   p(word) = p(its tokens) * E(after the word) / E(before the word, if its first token begins with white
//   space),
// and a separator of its own tokens is divided by E in place of the word after it. A word that ends inside a
// token has surely ended: E = 1 there. The sums of words and separators are the document's nats plus those of
// the last word's end.
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/builtin/characters.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/state.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll words 1";

/// The first 300 bytes of its text are kept.
struct Word {
  std::uint64_t start = 0, start_char = 0, tokens = 0;
  double nats = 0, entropy = 0;  // entropy and rank: where its first token is predicted
  std::int32_t rank = 0;
  std::string text;

  void visit(auto& archive) { archive(start, start_char, tokens, nats, entropy, rank, text); }
};

class Words {
 public:
  static constexpr plugin::About kAbout{
      .name = "words",
      .version = "1",
      .description = "Surprisal, entropy and rank of each word, and the probability that it ends there",
      .wants = UNROLL_WANT_TEXT | UNROLL_WANT_ENTROPY | UNROLL_WANT_WORD_END | UNROLL_WANT_RANK};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"boundary":{"type":"string","enum":["raw","corrected"],)"
      R"("default":"corrected"}},"additionalProperties":false})";

  Words(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    corrected_ = options.choice("boundary", {"raw", "corrected"}, "corrected") == "corrected";
    options.done();
    state_.corrected = corrected_;
  }

  void process(const plugin::Block& block) {
    JsonText json;
    json.open('{').field("type", "words").key("words").open('[');
    const auto before = state_.words;
    for (std::size_t i = 0; i < block.size(); ++i) take_token(block, i, json);
    if (state_.words > before) host_.emit(json.close(']').close('}').text());
  }

  void finish(const plugin::End& end) {
    double end_nats = 0;
    if (state_.open) {
      end_nats = end_cost(end.word_end);
      JsonText json;
      json.open('{').field("type", "words").key("words").open('[');
      close_word(end_nats, json);
      host_.emit(json.close(']').close('}').text());
    }
    emit_document(end, end_nats);
  }

  void fork(const plugin::Fork& point) {
    State fresh;
    fresh.corrected = corrected_;
    fresh.after_word = point.head.empty() ? state_.after_word : !is_space(point.head.back());
    state_ = std::move(fresh);
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    load_state(state_, bytes, kTag);
    if (state_.corrected != corrected_)
      throw plugin::StateError("the saved state was made with other options");
  }

 private:
  struct State {
    bool corrected = true;
    bool after_word = false;  // the last byte is a word's, perhaps of the document before
    bool open = false;        // `word` goes on
    Word word;
    std::uint64_t bytes = 0, chars = 0, tokens = 0, words = 0;
    std::uint64_t leading_tokens = 0;  // before the first word, without bytes
    double nats = 0, word_nats = 0, separator_nats = 0, leading_nats = 0;

    void visit(auto& archive) {
      archive(corrected, after_word, open, word, bytes, chars, tokens, words, leading_tokens, nats, word_nats,
              separator_nats, leading_nats);
    }
  };

  /// Of the probability that a word ends somewhere.
  double end_cost(float word_end) const {
    if (!std::isfinite(word_end))
      throw plugin::Error("a word's end has no finite probability; the model is damaged");
    return corrected_ ? -static_cast<double>(word_end) : 0;
  }

  void take_token(const plugin::Block& block, std::size_t i, JsonText& json) {
    const auto bytes = block.text(i);
    const double nats = nats_of(block.logprobs()[i], block);
    state_.nats += nats;
    ++state_.tokens;
    if (bytes.empty()) {  // a space that the vocabulary puts before the text
      state_.leading_nats += nats;
      ++state_.leading_tokens;
      return;
    }
    double due = nats;  // of the word that it belongs to, or the separator
    if (is_space(bytes.front()) && state_.after_word) {
      const double end = end_cost(block.word_end()[i]);
      if (state_.open) close_word(end, json);
      due -= end;
      state_.after_word = false;
    }
    bool taken = false;
    for (const char c : bytes) {
      if (is_space(c)) {
        if (state_.open) close_word(0, json);
      } else {
        if (!state_.open) open_word(block, i);
        if (!std::exchange(taken, true)) {
          state_.word.nats += due;
          ++state_.word.tokens;
        }
        if (state_.word.text.size() < kKeptText) state_.word.text.push_back(c);
      }
      state_.after_word = !is_space(c);
      state_.chars += continues_utf8(c) ? 0 : 1;
      ++state_.bytes;
    }
    if (!taken) state_.separator_nats += due;
  }

  void open_word(const plugin::Block& block, std::size_t i) {
    state_.open = true;
    state_.word = {state_.bytes,
                   state_.chars,
                   std::exchange(state_.leading_tokens, 0),
                   std::exchange(state_.leading_nats, 0),
                   block.entropy()[i],
                   block.ranks()[i],
                   {}};
  }

  /// It ends at the byte that comes next.
  void close_word(double end_nats, JsonText& json) {
    state_.open = false;
    auto& word = state_.word;
    word.nats += end_nats;
    state_.word_nats += word.nats;
    ++state_.words;
    json.open('{').field("word", cut_utf8(word.text, kMaxShownText));
    json.field("start", word.start).field("end", state_.bytes);
    json.field("start_char", word.start_char).field("end_char", state_.chars);
    json.field("nats", word.nats).field("entropy", word.entropy).field("rank", word.rank);
    json.field("tokens", word.tokens).close('}');
  }

  void emit_document(const plugin::End& end, double end_nats) {
    JsonText json;
    json.open('{').field("type", "document").field("words", state_.words).field("tokens", state_.tokens);
    json.field("bytes", end.bytes).field("characters", state_.chars).field("nats", state_.nats);
    json.field("word_nats", state_.word_nats);
    json.field("separator_nats", state_.separator_nats + state_.leading_nats).field("end_nats", end_nats);
    const auto per = [&](const char* key, std::uint64_t count) {
      json.key(key);
      if (count == 0) {
        json.null();
      } else {
        json.value(state_.nats / std::numbers::ln2 / static_cast<double>(count));
      }
    };
    per("bits_per_byte", end.bytes);
    per("bits_per_character", state_.chars);
    per("bits_per_word", state_.words);
    json.key("perplexity");
    if (state_.tokens == 0) {
      json.null();
    } else {
      json.value(std::exp(state_.nats / static_cast<double>(state_.tokens)));
    }
    host_.emit(json.close('}').text());
  }

  static constexpr std::size_t kKeptText = kMaxShownText + 4;

  plugin::Host host_;
  bool corrected_ = true;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Words);
