// embed: a vector of unit length for each segment of the document and one for the whole, in two parts. The
// first part is the mean of the model's hidden states over the tokens; it represents kind of text and topic.
// (A token's state is the one that it is predicted from.) The second part represents the words, by which
// short queries, whose states say little, are found. docs/embed.md has the measurements.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/word_vector.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll embed 2";
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

class Embed {
 public:
  static constexpr plugin::About kAbout{
      .name = "embed",
      .version = "2",
      .description = "A vector of unit length per segment and for the document",
      .wants = UNROLL_WANT_HIDDEN | UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"segment_tokens":{"type":"integer","minimum":1,"maximum":65536,)"
      R"("default":512}},"additionalProperties":false})";

  Embed(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    state_.segment_tokens =
        static_cast<std::uint64_t>(options.integer("segment_tokens", 512, 1, kMaxSegmentTokens));
    options.done();
  }

  void process(const plugin::Block& block) {
    const auto hidden = block.hidden();
    if (state_.document.empty()) {
      state_.segment.assign(hidden.columns(), 0.0);
      state_.document.assign(hidden.columns(), 0.0);
    }
    if (hidden.columns() != state_.document.size() || hidden.rows() != block.size()) {
      throw plugin::Error("block " + std::to_string(block.index()) + " has hidden states of another shape");
    }
    for (std::size_t i = 0; i < block.size(); ++i) {
      state_.words.take(block.text(i));
      add(hidden.row(i), block.offsets()[i], block.offsets()[i + 1]);
    }
  }

  void finish(const plugin::End&) {
    if (state_.tokens > 0) close_segment();
    JsonText json;
    const auto vector = state_.document.empty()
                            ? std::vector<double>{}
                            : joined(state_.document, unit(state_.document_words), state_.document_tokens);
    json.open('{').field("type", "document").field("dim", vector.size());
    host_.emit(json.list("vector", vector).close('}').text());
  }

  /// Vectors are of their own document's tokens alone.
  void fork(const plugin::Fork&) {
    State fresh;
    fresh.segment_tokens = state_.segment_tokens;
    state_ = std::move(fresh);
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    const auto segment_tokens = state_.segment_tokens;
    load_state(state_, bytes, kTag);
    if (state_.segment_tokens != segment_tokens || state_.segment.size() != state_.document.size() ||
        state_.document_words.size() != kWordDim) {
      throw plugin::StateError("the saved state was made with other options");
    }
  }

 private:
  struct State {
    std::uint64_t segment_tokens = 0;
    std::uint64_t tokens = 0, start = 0, end = 0;  // of the segment so far
    std::vector<double> segment, document;         // [dim] sums; a mean has the same direction
    WordStream words;                              // of the segment so far
    std::uint64_t document_tokens = 0;
    std::vector<double> document_words = std::vector<double>(kWordDim, 0.0);  // sum over segments

    void visit(auto& archive) {
      archive(segment_tokens, tokens, start, end, segment, document, words, document_tokens, document_words);
    }
  };

  void add(std::span<const float> row, std::uint64_t begin, std::uint64_t end) {
    if (state_.tokens == 0) state_.start = begin;
    state_.end = end;
    ++state_.tokens;
    ++state_.document_tokens;
    for (std::size_t d = 0; d < row.size(); ++d) {
      state_.segment[d] += row[d];
      state_.document[d] += row[d];
    }
    if (state_.tokens == state_.segment_tokens) close_segment();
  }

  void close_segment() {
    const auto words = unit(word_vector(state_.words.end(), kWordDim));
    add_to(state_.document_words, words);
    JsonText json;
    json.open('{').field("type", "segment").field("start", state_.start).field("end", state_.end);
    host_.emit(json.list("vector", joined(state_.segment, words, state_.tokens)).close('}').text());
    state_.segment.assign(state_.segment.size(), 0.0);
    state_.tokens = 0;
  }

  plugin::Host host_;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Embed);
