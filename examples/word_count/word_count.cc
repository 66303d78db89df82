// A plugin that counts words: `unroll run --plugin word-count FILE`.
#include <cctype>
#include <cstring>
#include <string>

#include <unroll/plugin.hpp>

class WordCount {
 public:
  static constexpr unroll::plugin::About kAbout{
      .name = "word-count", .version = "1", .description = "Counts words", .wants = UNROLL_WANT_TEXT};
  explicit WordCount(unroll::plugin::Host host) : host_(host) {}

  void process(const unroll::plugin::Block& block) {
    for (const char c : block.text()) {
      const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
      if (!space && !state_.in_word) ++state_.words;
      state_.in_word = !space;
    }
  }
  void finish(const unroll::plugin::End&) { host_.emit("{\"words\":" + std::to_string(state_.words) + "}"); }

  // After a snapshot, words are counted anew.
  void fork(const unroll::plugin::Fork&) { state_ = {}; }

  // A word may continue in the next block, and the daemon may stop between the two.
  std::string save() const { return {reinterpret_cast<const char*>(&state_), sizeof state_}; }
  void load(std::span<const std::byte> bytes) {
    if (bytes.size() != sizeof state_) throw unroll::plugin::StateError("not a state of word-count 1");
    std::memcpy(&state_, bytes.data(), sizeof state_);
  }

 private:
  struct State {
    std::uint64_t words = 0, in_word = 0;
  } state_;
  unroll::plugin::Host host_;
};

UNROLL_PLUGINS(WordCount);
