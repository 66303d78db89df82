// anomaly: how odd each line of a log is, given the lines before it. Online and without labels; see
// line_model.h.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/line_model.h"
#include "plugins/builtin/options.h"
#include "plugins/builtin/state.h"
#include "plugins/builtin/top_list.h"

namespace unroll::builtin {
namespace {

constexpr std::string_view kTag = "unroll anomaly 1";
constexpr std::int64_t kMaxTop = 1000;
constexpr std::size_t kKeptText = 512;  // of a line, for its shape and to be shown
constexpr std::size_t kWindow = 8;      // tokens in a row whose mean surprisal may peak

/// A line as it is being read.
struct Line {
  std::uint64_t begin = 0, end = 0;  // end: without the line end
  std::uint64_t bytes = 0, tokens = 0;
  double nats = 0, peak = 0;
  std::array<double, kWindow> recent{};  // surprisal of the last tokens, by index modulo kWindow
  std::string text;                      // its first kKeptText bytes

  void add_token(double token_nats) {
    recent[tokens % kWindow] = token_nats;
    ++tokens;
    nats += token_nats;
    if (tokens < kWindow) return;
    double sum = 0;
    for (const double x : recent) sum += x;
    peak = std::max(peak, sum / kWindow);
  }
  LineSurprisal surprisal() const {
    const double mean = tokens == 0 ? 0.0 : nats / static_cast<double>(tokens);
    return {nats, mean, tokens < kWindow ? mean : peak};
  }
  void visit(auto& archive) {
    archive(begin, end, bytes, tokens, nats, peak, text);
    for (double& x : recent) archive(x);
  }
};

struct Odd {
  double rank = 0;  // the score
  std::uint64_t line = 0, start = 0, end = 0;
  std::string text;

  void visit(auto& archive) { archive(rank, line, start, end, text); }
};

class Anomaly {
 public:
  static constexpr plugin::About kAbout{
      .name = "anomaly",
      .version = "1",
      .description = "Ranks the lines of a log by oddness, online, without labels",
      .wants = UNROLL_WANT_TEXT};

  Anomaly(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    state_.top = TopList<Odd>(static_cast<std::size_t>(options.integer("top", 20, 0, kMaxTop)));
    options.done();
  }

  void process(const plugin::Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      state_.line.add_token(nats_of(block.logprobs()[i], block));
      auto offset = block.offsets()[i];
      for (const char c : block.text(i)) take_byte(c, offset++);
    }
  }

  void finish(const plugin::End&) {
    if (state_.line.bytes > 0) close_line(state_.line.begin + state_.line.bytes);
    JsonText json;
    json.open('{').field("type", "document").field("lines", state_.lines).key("top").open('[');
    for (const auto& odd : state_.top.best_first()) {
      json.open('{').field("line", odd.line).field("start", odd.start).field("end", odd.end);
      json.field("score", odd.rank).field("text", odd.text).close('}');
    }
    host_.emit(json.close(']').close('}').text());
  }

  std::string save() const { return save_state(state_, kTag); }
  void load(std::span<const std::byte> bytes) {
    load_state(state_, bytes, kTag);
    if (state_.top.size() > state_.top.capacity()) {
      throw plugin::StateError("the saved state was made with other options");
    }
  }

 private:
  struct State {
    std::uint64_t lines = 0;  // that have ended
    Line line;
    LineModel model;
    TopList<Odd> top;

    void visit(auto& archive) { archive(lines, line, model, top); }
  };

  void take_byte(char c, std::uint64_t offset) {
    auto& line = state_.line;
    ++line.bytes;
    if (c == '\n') {
      close_line(offset + 1);
    } else {
      if (c != '\r') line.end = offset + 1;
      if (line.text.size() < kKeptText) line.text.push_back(c);
    }
  }

  /// The next line begins at byte `next`.
  void close_line(std::uint64_t next) {
    const Line line = std::exchange(state_.line, Line{});
    state_.line.begin = state_.line.end = next;
    ++state_.lines;
    const auto text = std::string_view(line.text).substr(0, line.end - line.begin);
    const double score = state_.model.score(line_shape(text), line.surprisal());

    JsonText json;
    json.open('{').field("line", state_.lines).field("start", line.begin).field("end", line.end);
    host_.emit(json.field("score", score).close('}').text());
    if (state_.top.takes(score)) {
      state_.top.add({score, state_.lines, line.begin, line.end, std::string(cut_utf8(text, kMaxShownText))});
    }
  }

  plugin::Host host_;
  State state_;
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Anomaly);
