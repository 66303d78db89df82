// embed: a vector of unit length for each segment of the document and one for the whole, in two parts. The
// first part is the mean of the model's hidden states over the tokens; it represents kind of text and topic.
// (A token's state is the one that it is predicted from.) The second part represents the words, by which
// short queries, whose states say little, are found. docs/embed.md has the measurements.
//
// A segment is as many whole sentences as fit in its tokens; a longer sentence is divided. A token belongs to
// the sentence that contains its first byte. Segments adjoin each other.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/characters.h"
#include "plugins/builtin/document_language.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/sentence_end.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/word_vector.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll embed 3";
constexpr std::int64_t kMaxSegmentTokens = 1 << 16;
constexpr std::size_t kWordDim = 512;
// The states' share: large for long texts, small for a few words.
constexpr double kStatesWeight = 1.4, kFewTokens = 64;

std::vector<double> unit(std::vector<double> vector) {
  double square = 0;
  for (const double x : vector) square += x * x;
  if (square > 0) {
    for (double& x : vector) x /= std::sqrt(square);
  }
  return vector;
}

void add_to(std::vector<double>& sum, const std::vector<double>& more) {
  for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += more[d];
}

/// `words`: of unit length or zero.
std::vector<double> joined(std::vector<double> states, const std::vector<double>& words,
                           std::uint64_t tokens) {
  const auto n = static_cast<double>(tokens);
  std::vector<double> vector = unit(std::move(states));
  for (double& x : vector) x *= kStatesWeight * n / (n + kFewTokens);
  vector.insert(vector.end(), words.begin(), words.end());
  return unit(std::move(vector));
}

/// The tokens of a sentence, or of some.
struct Part {
  std::uint64_t tokens = 0, end = 0;  // end: its last byte, exclusive
  std::vector<double> states;         // [dim] sum; a mean has the same direction
  std::vector<std::uint32_t> words;   // hashes

  void add_token(std::span<const float> row) {
    ++tokens;
    states.resize(row.size(), 0.0);
    for (std::size_t d = 0; d < row.size(); ++d) states[d] += row[d];
  }
  void append(Part part) {
    tokens += part.tokens;
    end = part.end;
    states.resize(std::max(states.size(), part.states.size()), 0.0);
    for (std::size_t d = 0; d < part.states.size(); ++d) states[d] += part.states[d];
    words.insert(words.end(), part.words.begin(), part.words.end());
  }
  void visit(auto& archive) { archive(tokens, end, states, words); }
};

class Embed {
 public:
  static constexpr plugin::About kAbout{
      .name = "embed",
      .version = "3",
      .description = "A vector of unit length per segment and for the document",
      .wants = UNROLL_WANT_HIDDEN | UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"segment_tokens":{"type":"integer","minimum":1,"maximum":65536,)"
      R"("default":512},"language":{"type":"string","description":"ISO 639; detected if it is left out"}},)"
      R"("additionalProperties":false})";

  Embed(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    state_.segment_tokens =
        static_cast<std::uint64_t>(options.integer("segment_tokens", 512, 1, kMaxSegmentTokens));
    state_.language = DocumentLanguage::from(options);
    options.done();
  }

  void process(const plugin::Block& block) {
    const auto hidden = block.hidden();
    if (state_.document.empty()) state_.document.assign(hidden.columns(), 0.0);
    if (hidden.columns() != state_.document.size() || hidden.rows() != block.size()) {
      throw plugin::Error("block " + std::to_string(block.index()) + " has hidden states of another shape");
    }
    state_.language.read(block.text());
    for (std::size_t i = 0; i < block.size(); ++i) add(hidden.row(i), block.text(i), block.offsets()[i]);
  }

  void finish(const plugin::End&) {
    close_gap();
    end_sentence();
    if (state_.segment.tokens > 0) emit_segment();
    JsonText json;
    const auto vector = state_.document.empty()
                            ? std::vector<double>{}
                            : joined(state_.document, unit(state_.document_words), state_.document_tokens);
    json.open('{').field("type", "document").field("dim", vector.size());
    if (!state_.language.code().empty()) json.field("language", state_.language.code());
    host_.emit(json.list("vector", vector).close('}').text());
  }

  /// Vectors are of their own document's tokens alone.
  void fork(const plugin::Fork&) {
    State fresh;
    fresh.segment_tokens = state_.segment_tokens;
    fresh.language = DocumentLanguage(state_.language.given());
    state_ = std::move(fresh);
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    const auto segment_tokens = state_.segment_tokens;
    const std::string language = state_.language.given();
    load_state(state_, bytes, kTag);
    const auto fits = [&](const Part& part) {
      return part.states.empty() || part.states.size() == state_.document.size();
    };
    if (state_.segment_tokens != segment_tokens || state_.language.given() != language ||
        !fits(state_.segment) || !fits(state_.sentence) || !fits(state_.gap) ||
        state_.document_words.size() != kWordDim) {
      throw plugin::StateError("the saved state was made with other options");
    }
  }

 private:
  struct State {
    std::uint64_t segment_tokens = 0;
    std::uint64_t start = 0;      // of the segment so far
    Part segment, sentence, gap;  // whole sentences; the one that goes on; while its side is undecided
    std::string gap_text;
    std::uint64_t gap_begin = 0;
    bool line_blank = true;
    SentenceEnd sentences;
    DocumentLanguage language;
    WordStream words;              // of the sentence so far
    std::vector<double> document;  // [dim] sum
    std::uint64_t document_tokens = 0;
    std::vector<double> document_words = std::vector<double>(kWordDim, 0.0);  // sum over segments

    void visit(auto& archive) {
      archive(segment_tokens, start, segment, sentence, gap, gap_text, gap_begin, line_blank, sentences,
              language, words, document, document_tokens, document_words);
    }
  };

  void add(std::span<const float> row, std::string_view bytes, std::uint64_t begin) {
    make_room(begin);
    auto& part = state_.gap_text.empty() && !state_.sentences.stopped() ? state_.sentence : state_.gap;
    part.add_token(row);
    ++state_.document_tokens;
    for (std::size_t d = 0; d < row.size(); ++d) state_.document[d] += row[d];
    for (const char c : bytes) take_byte(c, begin++);
  }

  /// For one more token, which begins at byte `next`.
  void make_room(std::uint64_t next) {
    const auto open = state_.sentence.tokens + state_.gap.tokens;
    if (state_.segment.tokens + open < state_.segment_tokens) return;
    if (state_.segment.tokens > 0) emit_segment();
    if (open < state_.segment_tokens) return;
    close_gap();
    state_.sentence.end = next;
    end_sentence();
    emit_segment();
  }

  void take_byte(char c, std::uint64_t offset) {
    switch (state_.sentences.take(c, state_.language.abbreviations())) {
      case SentenceEnd::Place::kGap:
        if (state_.gap_text.empty()) state_.gap_begin = offset;
        state_.gap_text.push_back(c);
        break;
      case SentenceEnd::Place::kBegins: {
        state_.sentence.end = state_.gap_text.empty() ? offset : state_.gap_begin;
        end_sentence();
        [[fallthrough]];
      }
      case SentenceEnd::Place::kInside:
        close_gap();
        state_.words.take({&c, 1});
        state_.sentence.end = offset + 1;
    }
    if (!is_space(c)) state_.line_blank = false;
    if (c != '\n') return;
    if (state_.line_blank) {
      close_gap();
      state_.sentences.reset();
      end_sentence();
    }
    state_.line_blank = true;
  }

  /// The gap belongs to the sentence so far.
  void close_gap() {
    state_.words.take(state_.gap_text);
    if (!state_.gap_text.empty()) state_.gap.end = state_.gap_begin + state_.gap_text.size();
    state_.gap_text.clear();
    if (state_.gap.tokens > 0 || state_.gap.end > 0) state_.sentence.append(std::exchange(state_.gap, {}));
  }

  void end_sentence() {
    state_.sentence.words = state_.words.end();
    if (state_.sentence.tokens > 0 || state_.sentence.end > 0)
      state_.segment.append(std::exchange(state_.sentence, {}));
  }

  void emit_segment() {
    const Part segment = std::exchange(state_.segment, {});
    const auto words = unit(word_vector(segment.words, kWordDim));
    add_to(state_.document_words, words);
    JsonText json;
    json.open('{').field("type", "segment").field("start", state_.start).field("end", segment.end);
    host_.emit(json.list("vector", joined(segment.states, words, segment.tokens)).close('}').text());
    state_.start = segment.end;
  }

  plugin::Host host_;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Embed);
