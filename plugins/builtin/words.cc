// words: how surprising each word was to the model, with the probability that it ends where it does.
//
// A word is a run of bytes that are not ASCII white space; what is between words are separators. ICU's
// dictionaries divide runs in scripts without spaces. A token belongs to the word that contains its first
// byte that is not white space; a token of only white space, to the separator.
//
// Most vocabularies put the space before a word into its first token. Then the product of a word's tokens
// says that the word before it has ended, but not that this one has. Boundary "corrected" (Pimentel & Meister
// 2024, arXiv 2406.14561; Oh & Schuler 2024, arXiv 2406.10851) moves that: with E(i) the probability that a
// token that begins with white space, or ends the text, comes at i,
//   p(word) = p(its tokens) * E(after the word) / E(before the word, if its first token begins with white
//   space),
// and a separator of its own tokens is divided by E in place of the word after it. A word that ends inside a
// token, or before another word without white space, has surely ended: E = 1 there. The sums of words and
// separators are the document's nats plus those of the last word's end.
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
#include "plugins/builtin/word_run.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll words 2";

class Words {
 public:
  static constexpr plugin::About kAbout{
      .name = "words",
      .version = "2",
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
    if (state_.run.open()) {
      end_nats = end_cost(end.word_end);
      JsonText json;
      json.open('{').field("type", "words").key("words").open('[');
      close_run(end_nats, json);
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
    WordRun run;
    std::uint64_t bytes = 0, chars = 0, tokens = 0, words = 0;
    std::uint64_t leading_tokens = 0;  // before the first word, without bytes
    double nats = 0, word_nats = 0, separator_nats = 0, leading_nats = 0;

    void visit(auto& archive) {
      archive(corrected, after_word, run, bytes, chars, tokens, words, leading_tokens, nats, word_nats,
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
      if (state_.run.open()) close_run(end, json);
      due -= end;
      state_.after_word = false;
    }
    bool taken = false;   // the token counts for a word
    bool in_run = false;  // the run knows of it
    for (const char c : bytes) {
      if (is_space(c)) {
        if (state_.run.open()) close_run(0, json);
        in_run = false;
      } else {
        if (!std::exchange(in_run, true)) add_to_run(block, i, std::exchange(taken, true) ? 0 : 1, due);
        state_.run.add_byte(c, breaks_, [&](const Word& word) { write_word(word, json); });
      }
      state_.after_word = !is_space(c);
      state_.chars += continues_utf8(c) ? 0 : 1;
      ++state_.bytes;
    }
    if (!taken) state_.separator_nats += due;
  }

  /// `tokens`: 0 if it counts for an earlier word.
  void add_to_run(const plugin::Block& block, std::size_t i, std::uint64_t tokens, double due) {
    const double nats = std::exchange(state_.leading_nats, 0) + (tokens > 0 ? due : 0);
    state_.run.add_token(std::exchange(state_.leading_tokens, 0) + tokens, nats, block.entropy()[i],
                         block.ranks()[i], state_.bytes, state_.chars);
  }

  /// It ends at the byte that comes next.
  void close_run(double end_nats, JsonText& json) {
    state_.run.close(end_nats, breaks_, [&](const Word& word) { write_word(word, json); });
  }

  void write_word(const Word& word, JsonText& json) {
    state_.word_nats += word.nats;
    ++state_.words;
    json.open('{').field("word", cut_utf8(word.text, kMaxShownText));
    json.field("start", word.start).field("end", word.end);
    json.field("start_char", word.start_char).field("end_char", word.end_char);
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

  plugin::Host host_;
  bool corrected_ = true;
  UnspacedWords breaks_;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Words);
