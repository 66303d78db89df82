// logprobs: each token's log-probability, and the most probable tokens in its place. With the option `pieces`
// also its rank, and the text of those tokens.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/options.h"

namespace unroll::builtin {
namespace {

constexpr std::int32_t kMostTop = 20;

/// It keeps no state: what it says of a block depends on nothing else.
class Logprobs {
 public:
  static constexpr plugin::About kAbout{
      .name = "logprobs",
      .version = "2",
      .description = "Each token's log-probability, rank and the likeliest alternatives",
      .wants = UNROLL_WANT_TOP_K | UNROLL_WANT_RANK,
      .top_k = kMostTop};
  static constexpr const char* kOptionsSchema =
      R"({"type":"object","properties":{"top":{"type":"integer","minimum":0,"maximum":20,"default":1},)"
      R"("pieces":{"type":"boolean","default":false}},"additionalProperties":false})";

  Logprobs(plugin::Host host, std::string_view text) : host_(host) {
    Options options(text);
    top_ = static_cast<std::size_t>(options.integer("top", 1, 0, kMostTop));
    if (options.flag("pieces", false)) pieces_ = host.vocabulary();
    options.done();
  }

  void process(const plugin::Block& block) {
    const auto ids = block.tokens();
    JsonText json;
    json.open('{').field("type", "tokens").list("token", ids);
    json.list("start", block.offsets().first(block.size())).list("end", block.offsets().last(block.size()));
    json.key("logprob").open('[');
    for (const float logprob : block.logprobs()) json.value(-nats_of(logprob, block));
    json.close(']').key("top").open('[');
    for (std::size_t i = 0; i < block.size(); ++i) {
      const auto top = block.top_ids(i).first(std::min(top_, block.top_k()));
      json.open('[');
      for (std::size_t rank = 0; rank < top.size(); ++rank) {
        // The token's own value is computed by other sums: its last digits must not differ.
        const float logprob = top[rank] == ids[i] ? block.logprobs()[i] : block.top_logprobs(i)[rank];
        json.open('[').value(top[rank]).value(-nats_of(logprob, block));
        if (pieces_) json.value(pieces_->token(top[rank]));
        json.close(']');
      }
      json.close(']');
    }
    json.close(']');
    if (pieces_) json.list("rank", block.ranks().first(block.size()));
    host_.emit(json.close('}').text());
  }

  void finish(const plugin::End&) {}

 private:
  plugin::Host host_;
  std::size_t top_ = 1;
  std::optional<plugin::Vocabulary> pieces_;  ///< If they are wanted.
};

}  // namespace
}  // namespace unroll::builtin

UNROLL_PLUGINS(unroll::builtin::Logprobs);
