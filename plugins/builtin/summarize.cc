// summarize: selects representative sentences within a budget of words, in the document's order.
//
// During reading, each prose sentence gets a score (how like the others it is in its words, its surprisal,
// its position); the best sentences of each stretch of the document are kept as candidates, in constant
// memory. At the end the best candidates that are unlike each other are chosen. Options: `words`, the budget;
// `every`, also give a summary of the text so far after each so many bytes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/document_language.h"
#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/running.h"
#include "plugins/builtin/sentence_stream.h"
#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/summary_choice.h"
#include "plugins/builtin/top_list.h"
#include "plugins/builtin/topic.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll summarize 7";
constexpr std::int64_t kMaxWords = 10000;
// Chosen by measurement: docs/summarize.md.
constexpr double kEarly = 3, kOpening = 0.5, kSurprising = 0.15, kQuoted = 1;
constexpr std::int64_t kLeastEvery = 4096, kMostEvery = std::int64_t{1} << 40;

/// The best candidates of each of kStretches equal stretches, which double in length as the document grows.
class Candidates {
 public:
  static constexpr std::size_t kStretches = 16, kEach = 16;

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
                                        .version = "4",
                                        .description = "Chooses the sentences that stand for the document",
                                        .wants = UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"words":{"type":"integer","minimum":1,"maximum":10000,"default":120},)"
      R"("language":{"type":"string","description":"ISO 639; detected if it is left out"},)"
      R"("every":{"type":"integer","minimum":0,"maximum":1099511627776,"default":0}},"additionalProperties":false})";

  Summarize(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    words_ = static_cast<std::size_t>(options.integer("words", 120, 1, kMaxWords));
    every_ = static_cast<std::uint64_t>(options.integer("every", 0, 0, kMostEvery));
    if (every_ > 0) every_ = std::max<std::uint64_t>(every_, kLeastEvery);
    state_.next = every_;
    state_.language = DocumentLanguage::from(options);
    options.done();
  }

  void process(const plugin::Block& block) {
    state_.language.read(block.text());
    for (std::size_t i = 0; i < block.size(); ++i) {
      state_.stream.token(block.text(i), block.offsets()[i], nats_of(block.logprobs()[i], block),
                          state_.language.abbreviations(),
                          [this](Sentence sentence) { take(std::move(sentence)); });
    }
  }

  void finish(const plugin::End&) {
    state_.stream.finish([this](Sentence sentence) { take(std::move(sentence)); });
    emit_summary("summary", std::nullopt);
  }

  /// What is usual stays; sentences to choose from are its own document's.
  void fork(const plugin::Fork&) {
    state_.stream = {};
    state_.candidates = {};
    state_.language = DocumentLanguage(state_.language.given());
    state_.next = every_;
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    const std::string language = state_.language.given();
    load_state(state_, bytes, kTag);
    if (state_.language.given() != language)
      throw plugin::StateError("the saved state was made with other options");
  }

 private:
  struct State {
    SentenceStream stream;
    DocumentLanguage language;
    Topic topic;
    Running surprisal, centrality;
    std::uint32_t seen = 0;  // prose sentences
    std::uint64_t next = 0;  // byte from which the next running summary is due
    Candidates candidates;

    void visit(auto& archive) {
      archive(stream, language, topic, surprisal, centrality, seen, next, candidates);
    }
  };

  void take(Sentence sentence) {
    const auto text = normalised(sentence.text);
    if (sentence.sums.tokens == 0 || !is_prose(text)) return;
    const auto words = content_words(text);
    state_.topic.add(words);
    const double surprisal = sentence.sums.nats / static_cast<double>(sentence.sums.tokens);
    const double centrality = state_.topic.centrality(words);
    const double own = own_worth(sentence, against(state_.surprisal, surprisal, 0.1));
    const double rank = own + against(state_.centrality, centrality, 0.001);

    const bool first = state_.seen == 0;  // refers to nothing before it
    constexpr std::uint32_t kHorizon = 1000;
    state_.surprisal.update(surprisal, state_.seen, kHorizon);
    state_.centrality.update(centrality, state_.seen, kHorizon);
    state_.seen = std::min(state_.seen + 1, kHorizon);
    state_.candidates.add({rank, own, sentence.start, sentence.end, std::move(sentence.text),
                           sentence.in_quotation || (!first && refers_back(text))});
    if (every_ == 0 || sentence.end < state_.next) return;
    emit_summary("running", sentence.end);
    state_.next = (sentence.end / every_ + 1) * every_;
  }

  void emit_summary(const char* type, std::optional<std::uint64_t> end) {
    const auto candidates = state_.candidates.in_order();
    std::size_t words = 0;
    JsonText json;
    json.open('{').field("type", type);
    if (end) json.field("end", *end);
    json.key("sentences").open('[');
    for (const auto index : choose_sentences(candidates, state_.topic, words_)) {
      const auto& sentence = candidates[index];
      json.open('{').field("start", sentence.start).field("end", sentence.end);
      json.field("text", sentence.text).close('}');
      words += word_count(normalised(sentence.text));
    }
    json.close(']').field("words", words);
    if (!state_.language.code().empty()) json.field("language", state_.language.code());
    host_.emit(json.close('}').text());
  }

  /// In mean deviations.
  double against(const Running& usual, double x, double least) const {
    return state_.seen == 0 ? 0.0 : std::clamp((x - usual.mean) / (usual.deviation + least), -3.0, 3.0);
  }

  /// The part of the score that does not depend on other sentences. The most surprising sentences are garbled
  /// or details; documents state their topic early; narration matters more than dialogue.
  static double own_worth(const Sentence& sentence, double surprising) {
    const double early = kEarly * std::exp(-static_cast<double>(sentence.start) / 4096);
    return early + (sentence.opens_paragraph ? kOpening : 0.0) - kSurprising * surprising -
           kQuoted * (sentence.in_quotation || begins_with_dash(sentence.text) ? 1.0 : sentence.quoted);
  }

  plugin::Host host_;
  std::size_t words_ = 0;
  std::uint64_t every_ = 0;  // bytes; 0: no running summaries
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Summarize);
