// Classes that use all of plugin.hpp: a minimal one, and one with everything.
#include <cstring>

#include <unroll/plugin.hpp>

namespace {

using namespace unroll::plugin;

struct Least {
  static constexpr About kAbout{.name = "least"};
  void process(const Block& block, Host host) { host.emit(std::to_string(block.size())); }
  void finish(const End&, Host) {}
};

class Whole {
 public:
  static constexpr About kAbout{.name = "whole",
                                .version = "2",
                                .description = "Uses everything",
                                .wants = UNROLL_WANT_TOP_K | UNROLL_WANT_TEXT | UNROLL_WANT_HIDDEN |
                                         UNROLL_WANT_ENTROPY | UNROLL_WANT_WORD_END | UNROLL_WANT_RANK,
                                .top_k = 2};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"quiet":{"type":"boolean","default":false}}})";

  Whole(Host host, std::string_view options) : host_(host), vocabulary_(host.vocabulary()) {
    if (options != "{}" && options.find("\"quiet\"") == std::string_view::npos)
      throw OptionsError("only \"quiet\"");
  }
  void process(const Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      bytes_ += block.text(i).size() + block.hidden().row(i).size() + block.top_ids(i).size();
      if (vocabulary_) bytes_ += vocabulary_->token(block.tokens()[i]).size();
      if (block.entropy()[i] < 0 || block.top_logprobs(i)[0] > 0 || block.word_end()[i] > 0)
        throw Error("not a probability");
      if (block.ranks()[i] < 1) throw Error("not a rank");
    }
  }
  void finish(const End& end) {
    host_.emit("[" + std::to_string(bytes_) + "," + std::to_string(end.bytes) + "]");
  }
  void fork(const Fork& point) { bytes_ = point.head.size(); }
  std::string save() const { return {reinterpret_cast<const char*>(&bytes_), sizeof bytes_}; }
  void load(std::span<const std::byte> state) {
    if (state.size() != sizeof bytes_) throw StateError("not a state of whole 2");
    std::memcpy(&bytes_, state.data(), sizeof bytes_);
  }

 private:
  Host host_;
  std::optional<Vocabulary> vocabulary_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

UNROLL_PLUGINS(Least, Whole);
