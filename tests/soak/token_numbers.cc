// A plugin for snapshot_cuts.py: every number that the model gives for a token, to the last bit.
#include <bit>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include <unroll/plugin.hpp>

class TokenNumbers {
 public:
  static constexpr unroll::plugin::About kAbout{
      .name = "token-numbers",
      .version = "1",
      .description = "The bits of each token's log-probability, entropy and hidden state",
      .wants = UNROLL_WANT_ENTROPY | UNROLL_WANT_HIDDEN};

  void process(const unroll::plugin::Block& block, unroll::plugin::Host host) {
    std::string json = "{\"tokens\":[";
    for (std::size_t i = 0; i < block.size(); ++i) {
      char text[160];
      std::snprintf(text, sizeof text, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 "]",
                    i == 0 ? "" : ",", block.offsets()[i], block.offsets()[i + 1],
                    std::bit_cast<std::uint32_t>(block.logprobs()[i]),
                    std::bit_cast<std::uint32_t>(block.entropy()[i]), hash(block.hidden().row(i)));
      json += text;
    }
    host.emit(json + "]}");
  }
  void finish(const unroll::plugin::End&) {}

 private:
  /// FNV-1a over the bits.
  static std::uint64_t hash(std::span<const float> row) {
    std::uint64_t value = 0xcbf29ce484222325;
    for (const float number : row) value = (value ^ std::bit_cast<std::uint32_t>(number)) * 0x100000001b3;
    return value;
  }
};

UNROLL_PLUGINS(TokenNumbers);
