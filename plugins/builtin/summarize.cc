// summarize: the sentences that stand for the document, within a budget of words, in the document's order.
//
// While the document goes by, each sentence of prose gets a worth (how informative it was to the model, how
// near to the document's run of thought, where it stands); the best of each stretch of the document are kept,
// however long it is. At the end those most central among the kept ones are chosen, each against repeating
// what is chosen already.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/running.h"
#include "plugins/builtin/sentence_stream.h"
#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/summary_choice.h"
#include "plugins/builtin/top_list.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll summarize 1";
constexpr std::int64_t kMaxWords = 10000;

/// The best candidates of each of kStretches equal stretches, which double in length as the document grows.
class Candidates {
 public:
  static constexpr std::size_t kStretches = 32, kEach = 8;

  void add(Candidate candidate) {
    while (candidate.start / length_ >= kStretches) double_length();
    stretches_[candidate.start / length_].add(std::move(candidate));
  }
  std::vector<Candidate> in_order() const {
    std::vector<Candidate> all;
    for (const auto& stretch : stretches_) {
      auto best = stretch.best_first();
      std::move(best.begin(), best.end(), std::back_inserter(all));
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
    return all;
  }
  void visit(auto& archive) {
    archive(length_);
    if (length_ == 0) throw plugin::StateError("the saved state is damaged");
    for (auto& stretch : stretches_) archive(stretch);
  }

 private:
  void double_length() {
    std::vector<TopList<Candidate>> merged(kStretches, TopList<Candidate>(kEach));
    for (std::size_t i = 0; i < kStretches; ++i) {
      for (auto& candidate : stretches_[i].best_first()) merged[i / 2].add(std::move(candidate));
    }
    stretches_ = std::move(merged);
    length_ *= 2;
  }
  std::uint64_t length_ = 4096;  // bytes
  std::vector<TopList<Candidate>> stretches_ =
      std::vector<TopList<Candidate>>(kStretches, TopList<Candidate>(kEach));
};

class Summarize {
 public:
  static constexpr plugin::About kAbout{.name = "summarize",
                                        .version = "1",
                                        .description = "Chooses the sentences that stand for the document",
                                        .wants = UNROLL_WANT_TEXT | UNROLL_WANT_HIDDEN};

  Summarize(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    words_ = static_cast<std::size_t>(options.integer("words", 120, 1, kMaxWords));
    options.done();
  }

  void process(const plugin::Block& block) {
    const auto hidden = block.hidden();
    if (hidden.rows() != block.size())
      throw plugin::Error("the block's hidden states are not one for each token");
    for (std::size_t i = 0; i < block.size(); ++i) {
      state_.document.add(hidden.row(i));
      state_.stream.token(block.text(i), block.offsets()[i], nats_of(block.logprobs()[i], block),
                          hidden.row(i), [this](Sentence sentence) { take(std::move(sentence)); });
    }
  }

  void finish(const plugin::End&) {
    state_.stream.finish([this](Sentence sentence) { take(std::move(sentence)); });
    const auto candidates = state_.candidates.in_order();
    std::size_t words = 0;
    JsonText json;
    json.open('{').field("type", "summary").key("sentences").open('[');
    for (const auto index : choose_sentences(candidates, state_.sentences, words_)) {
      const auto& sentence = candidates[index];
      json.open('{').field("start", sentence.start).field("end", sentence.end);
      json.field("text", sentence.text).close('}');
      words += word_count(sentence.text);
    }
    host_.emit(json.close(']').field("words", words).close('}').text());
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) { load_state(state_, bytes, kTag); }

 private:
  struct State {
    SentenceStream stream;
    Spread document, sentences;  // of hidden states: of all tokens; of the means of prose sentences
    Running surprisal, nearness;
    std::uint32_t seen = 0;  // prose sentences
    Candidates candidates;

    void visit(auto& archive) { archive(stream, document, sentences, surprisal, nearness, seen, candidates); }
  };

  void take(Sentence sentence) {
    auto text = normalised(sentence.text);
    if (sentence.sums.tokens == 0 || !is_prose(text)) return;
    auto mean = std::move(sentence.sums.hidden);
    for (float& x : mean) x /= static_cast<float>(sentence.sums.tokens);
    const double surprisal = sentence.sums.nats / static_cast<double>(sentence.sums.tokens);
    const double nearness = state_.document.cosine(mean);
    const double worth = worth_of(sentence, word_count(text), surprisal, nearness);

    constexpr std::uint32_t kHorizon = 1000;
    state_.surprisal.update(surprisal, state_.seen, kHorizon);
    state_.nearness.update(nearness, state_.seen, kHorizon);
    state_.seen = std::min(state_.seen + 1, kHorizon);
    state_.sentences.add(mean);
    state_.candidates.add({worth, sentence.start, sentence.end, std::move(text), std::move(mean)});
  }

  double worth_of(const Sentence& sentence, std::size_t words, double surprisal, double nearness) const {
    const auto against = [this](const Running& usual, double x, double least) {
      return state_.seen == 0 ? 0.0 : std::clamp((x - usual.mean) / (usual.deviation + least), -3.0, 3.0);
    };
    // The middle and a little above is informative; far above is garbled, far below is boilerplate.
    const double informative = (against(state_.surprisal, surprisal, 0.1) - 0.5) / 2;
    const double early = 0.5 * std::exp(-static_cast<double>(sentence.start) / 4096);
    const double opening = sentence.opens_paragraph ? 0.3 : 0.0;
    const double compact = words >= 10 && words <= 35 ? 0.3 : 0.0;
    return -informative * informative + 0.3 * against(state_.nearness, nearness, 0.01) + early + opening +
           compact;
  }

  plugin::Host host_;
  std::size_t words_ = 0;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Summarize);
