// score: how surprising each token, line, sentence, paragraph and the whole document were to the model.
//
// A document is cut into passages: lines; sentences, which also end at a blank line; or paragraphs, which end
// after a blank line. 64 KB end any passage. A token belongs to the passage that contains its first byte.
// `start` and `end` exclude the newline (for sentences and paragraphs: the whitespace around), but its tokens
// and bytes count in nats and bits per byte, so that the passages add up to the document. Passages of only
// whitespace count in the document only.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/document_language.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/sentence_end.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/top_list.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll score 5";
constexpr std::uint64_t kMaxPassageBytes = 64 * 1024;
constexpr std::uint64_t kLeastRankedBytes = 20;  // shorter passages are noise in a ranking by bits per byte
constexpr std::int64_t kMaxTop = 1000;

double bits_per_byte(double nats, std::uint64_t bytes) {
  return bytes == 0 ? 0.0 : nats / std::numbers::ln2 / static_cast<double>(bytes);
}

/// From `start` to before `end`, in bytes and in characters of the document.
struct Place {
  std::uint64_t start = 0, end = 0, start_char = 0, end_char = 0;

  void write(JsonText& json) const {
    json.field("start", start).field("end", end).field("start_char", start_char).field("end_char", end_char);
  }
  void visit(auto& archive) { archive(start, end, start_char, end_char); }
};

/// A passage while it is read. Its text is the line without its newline, or the paragraph without the
/// whitespace around it.
struct Passage {
  std::uint64_t begin = 0, bytes = 0, tokens = 0;
  double nats = 0;
  std::uint64_t line = 0;  // of the text's begin
  Place place;             // of the text
  bool text_begun = false, blank = true;
  std::string text;  // its first kKeptText bytes

  /// `gap`: the whitespace after it.
  void append(const Passage& gap);
  void visit(auto& archive) { archive(begin, bytes, tokens, nats, line, place, text_begun, blank, text); }
};
constexpr std::size_t kKeptText = kMaxShownText + 4;  // enough to detect whether a UTF-8 sequence is cut

void Passage::append(const Passage& gap) {
  bytes += gap.bytes;
  tokens += gap.tokens;
  nats += gap.nats;
  if (gap.text_begun) {
    place.end = gap.place.end;
    place.end_char = gap.place.end_char;
  }
  blank = blank && gap.blank;
  if (text_begun && text.size() < kKeptText) text += gap.text.substr(0, kKeptText - text.size());
}

struct Ranked : Place {
  double rank = 0;  // bits per byte
  std::uint64_t line = 0, tokens = 0;
  double nats = 0;
  std::string text;

  void visit(auto& archive) {
    Place::visit(archive);
    archive(rank, line, tokens, nats, text);
  }
};

class Score {
 public:
  static constexpr plugin::About kAbout{
      .name = "score",
      .version = "1",
      .description =
          "Surprisal per token, line, sentence, paragraph and document: nats, bits per byte, perplexity",
      .wants = UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"granularity":{"type":"string",)"
      R"("enum":["document","paragraph","sentence","line","token"],"default":"paragraph"},)"
      R"("language":{"type":"string","description":"ISO 639; detected if it is left out"},)"
      R"("top":{"type":"integer","minimum":0,"maximum":1000,"default":10}},"additionalProperties":false})";

  Score(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    granularity_ =
        options.choice("granularity", {"document", "paragraph", "sentence", "line", "token"}, "paragraph");
    state_.top = TopList<Ranked>(static_cast<std::size_t>(options.integer("top", 10, 0, kMaxTop)));
    state_.language = DocumentLanguage::from(options);
    options.done();
    state_.granularity = granularity_;
    lines_ = granularity_ == "line";
    sentences_ = granularity_ == "sentence";
    reports_passages_ = lines_ || sentences_ || granularity_ == "paragraph";
  }

  void process(const plugin::Block& block) {
    if (granularity_ == "token") emit_tokens(block);
    if (sentences_) state_.language.read(block.text());
    const auto offsets = block.offsets();
    const auto logprobs = block.logprobs();
    for (std::size_t i = 0; i < block.size(); ++i) {
      const auto bytes = block.text(i);
      if (!bytes.empty()) end_long_passage(bytes[0], offsets[i]);  // its nats count where it begins
      const double nats = nats_of(logprobs[i], block);
      state_.nats += nats;
      ++state_.tokens;
      // What its first byte belongs to may be decided only later.
      const bool in_gap = sentences_ && (state_.gap.bytes > 0 || state_.sentence.stopped());
      auto& passage = in_gap ? state_.gap : state_.passage;
      passage.nats += nats;
      ++passage.tokens;
      take_bytes(bytes, offsets[i]);
    }
  }

  void finish(const plugin::End& end) {
    close_gap();
    if (state_.passage.bytes > 0) close_passage(state_.passage.begin + state_.passage.bytes);
    emit_document(end);
  }

  /// It has learned nothing: each passage is its own document's.
  void fork(const plugin::Fork&) {
    State fresh;
    fresh.granularity = granularity_;
    fresh.language = DocumentLanguage(state_.language.given());
    fresh.top = TopList<Ranked>(state_.top.capacity());
    state_ = std::move(fresh);
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    const std::string language = state_.language.given();
    load_state(state_, bytes, kTag);
    if (state_.granularity != granularity_ || state_.language.given() != language ||
        state_.top.size() > state_.top.capacity()) {
      throw plugin::StateError("the saved state was made with other options");
    }
  }

 private:
  struct State {
    std::string granularity;  // a state is valid only for the options that it was made with
    std::uint64_t tokens = 0;
    double nats = 0;
    std::uint64_t chars = 0;  // begun so far
    std::uint64_t line = 1;   // of the next byte
    bool line_blank = true;   // so far
    Passage passage;
    Passage gap;           // whitespace after a sentence, while its side is undecided
    SentenceEnd sentence;  // this, language and gap: for sentences only
    DocumentLanguage language;
    TopList<Ranked> top;

    void visit(auto& archive) {
      archive(granularity, tokens, nats, chars, line, line_blank, passage, gap, sentence, language, top);
    }
  };

  void take_bytes(std::string_view bytes, std::uint64_t offset) {
    for (std::size_t i = 0; i < bytes.size(); ++i) take_byte(bytes[i], offset + i);
  }

  /// Ends the passage if `c` would exceed its maximum length.
  void end_long_passage(char c, std::uint64_t offset) {
    const auto bytes = state_.passage.bytes + state_.gap.bytes;
    const bool continues = continues_utf8(c);  // do not cut a UTF-8 sequence
    if (bytes < kMaxPassageBytes || (continues && bytes < kMaxPassageBytes + 3)) return;
    close_gap();
    state_.sentence.reset();
    close_passage(offset);
  }

  void take_byte(char c, std::uint64_t offset) {
    end_long_passage(c, offset);
    if (!continues_utf8(c)) ++state_.chars;
    const bool space = is_space(c);
    const auto place =
        sentences_ ? state_.sentence.take(c, state_.language.abbreviations()) : SentenceEnd::Place::kInside;
    if (place == SentenceEnd::Place::kGap) {
      take_gap(c, offset, space);
    } else {
      if (place == SentenceEnd::Place::kBegins) begin_sentence(offset);
      close_gap();
      take_inside(state_.passage, c, offset, space);
    }
    if (!space) state_.line_blank = false;
    if (c == '\n') end_line(offset + 1);
  }

  void take_inside(Passage& passage, char c, std::uint64_t offset, bool space) {
    ++passage.bytes;
    if (!passage.text_begun && (lines_ || !space)) {
      passage.text_begun = true;
      passage.place.start = offset;
      passage.place.start_char = state_.chars - (continues_utf8(c) ? 0 : 1);
      passage.line = state_.line;
    }
    if (passage.text_begun && passage.text.size() < kKeptText) passage.text.push_back(c);
    if (!space || (lines_ && c != '\n' && c != '\r')) {
      passage.place.end = offset + 1;
      passage.place.end_char = state_.chars;
    }
    if (!space) passage.blank = false;
  }

  void take_gap(char c, std::uint64_t offset, bool space) {
    auto& gap = state_.gap;
    if (gap.bytes == 0) gap.begin = offset;
    if (!gap.text_begun && space && gap.text.size() < kKeptText) gap.text.push_back(c);
    take_inside(gap, c, offset, space);
  }

  /// The gap belongs to the sentence that follows; if it is empty, that begins at `offset`.
  void begin_sentence(std::uint64_t offset) {
    Passage gap = std::exchange(state_.gap, Passage{});
    close_passage(gap.bytes > 0 ? gap.begin : offset);
    if (gap.bytes == 0) gap.begin = offset;
    gap.text.erase(0, std::min(gap.text.find_first_not_of(" \t\r\n\f\v"), gap.text.size()));
    state_.passage = std::move(gap);
  }
  /// The gap belongs to the sentence before it.
  void close_gap() {
    if (state_.gap.bytes > 0 || state_.gap.tokens > 0)
      state_.passage.append(std::exchange(state_.gap, Passage{}));
  }

  void end_line(std::uint64_t next) {
    ++state_.line;
    if (lines_ || state_.line_blank) {
      close_gap();
      state_.sentence.reset();
      close_passage(next);
    }
    state_.line_blank = true;
  }

  /// The next passage begins at byte `next`.
  void close_passage(std::uint64_t next) {
    const Passage done = std::exchange(state_.passage, Passage{});
    state_.passage.begin = next;
    if (done.blank) return;
    const double rank = bits_per_byte(done.nats, done.bytes);
    if (reports_passages_) {
      JsonText json;
      json.open('{').field("type", granularity_).field("line", done.line);
      done.place.write(json);
      json.field("tokens", done.tokens).field("nats", done.nats).field("bits_per_byte", rank).close('}');
      host_.emit(json.text());
    }
    const auto length = done.place.end - done.place.start;
    if (length < kLeastRankedBytes || !state_.top.takes(rank)) return;
    const auto shown = cut_utf8(std::string_view(done.text).substr(0, length), kMaxShownText);
    state_.top.add({done.place, rank, done.line, done.tokens, done.nats, std::string(shown)});
  }

  void emit_tokens(const plugin::Block& block) {
    const auto offsets = block.offsets();
    std::vector<double> nats;
    std::vector<std::uint64_t> chars = {state_.chars};  // begun before each token
    for (std::size_t i = 0; i < block.size(); ++i) {
      nats.push_back(nats_of(block.logprobs()[i], block));
      const auto bytes = block.text(i);
      chars.push_back(chars.back() + static_cast<std::uint64_t>(std::ranges::count_if(
                                         bytes, [](char c) { return !continues_utf8(c); })));
    }
    JsonText json;
    json.open('{').field("type", "tokens");
    json.list("start", offsets.first(block.size()))
        .list("end", offsets.last(block.size()))
        .list("start_char", std::span(chars).first(block.size()))
        .list("end_char", std::span(chars).last(block.size()))
        .list("nats", nats);
    host_.emit(json.close('}').text());
  }

  void emit_document(const plugin::End& end) {
    const auto tokens = static_cast<double>(state_.tokens);
    JsonText json;
    json.open('{').field("type", "document").field("tokens", state_.tokens).field("bytes", end.bytes);
    json.field("nats", state_.nats);
    if (!state_.language.code().empty()) json.field("language", state_.language.code());
    if (state_.tokens > 0 && end.bytes > 0) {
      json.field("bits_per_byte", bits_per_byte(state_.nats, end.bytes));
      json.field("perplexity", std::exp(state_.nats / tokens));
    } else {  // nothing was predicted: 0 and 1 would be the best possible figures
      json.key("bits_per_byte").null().key("perplexity").null();
    }
    json.key("surprising").open('[');
    for (const auto& passage : state_.top.best_first()) {
      json.open('{').field("line", passage.line);
      passage.write(json);
      json.field("tokens", passage.tokens).field("nats", passage.nats).field("bits_per_byte", passage.rank);
      json.field("text", passage.text).close('}');
    }
    host_.emit(json.close(']').close('}').text());
  }

  plugin::Host host_;
  std::string granularity_;
  bool lines_ = false, sentences_ = false, reports_passages_ = false;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Score);
