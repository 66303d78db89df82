// Finds byte ranges that look like secrets: `unroll run --plugin redact-secrets FILE`.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <unroll/plugin.hpp>

namespace {

using namespace unroll::plugin;

constexpr std::uint32_t kShortest = 16, kLongest = 512;  // bytes
constexpr double kSurprise = 3, kEntropy = 3;            // bits per byte; bits per character

bool may_be_secret(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("+/=_-.~!#$%^&*@").find(c) != std::string_view::npos;
}

/// The current string, which may have begun in an earlier block. Saved as it is.
struct Run {
  std::uint64_t begin = 0;
  double nats = 0;  ///< A token's surprisal is divided evenly among its bytes.
  std::uint32_t length = 0;
  std::array<std::uint16_t, 128> counts{};  ///< Of each character.
  std::uint32_t reserved = 0;               ///< so that no padding is saved
};
constexpr std::string_view kTag = "redact01";

double entropy(const Run& run) {
  double bits = 0;
  for (const double count : run.counts) {
    if (count > 0) bits -= count / run.length * std::log2(count / run.length);
  }
  return bits;
}

class RedactSecrets {
 public:
  static constexpr About kAbout{.name = "redact-secrets",
                                .version = "1",
                                .description = "Byte ranges that look like keys and passwords",
                                .wants = UNROLL_WANT_TEXT};
  static constexpr const char* kOptionsSchema = R"({"type":"object","additionalProperties":false})";

  RedactSecrets(Host host, std::string_view options) : host_(host) {
    if (options != "{}") throw OptionsError("redact-secrets takes no options");
  }

  void process(const Block& block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      const std::string_view text = block.text(i);
      for (std::size_t at = 0; at < text.size(); ++at) {
        take(text[at], block.offsets()[i] + at,
             -static_cast<double>(block.logprobs()[i]) / static_cast<double>(text.size()));
      }
    }
  }
  void finish(const End&) { end_run(); }

  std::string save() const {
    std::string state(kTag);
    state.append(reinterpret_cast<const char*>(&run_), sizeof run_);
    return state;
  }
  void load(std::span<const std::byte> state) {
    if (state.size() != kTag.size() + sizeof run_ ||
        std::memcmp(state.data(), kTag.data(), kTag.size()) != 0) {
      throw StateError("not a state of redact-secrets 1");
    }
    std::memcpy(&run_, state.data() + kTag.size(), sizeof run_);
  }

 private:
  void take(char c, std::uint64_t offset, double nats) {
    if (!may_be_secret(c)) return end_run();
    if (run_.length == 0) run_.begin = offset;
    if (run_.length > kLongest) return;  // too long for a secret: skip to its end
    ++run_.length;
    run_.nats += nats;
    ++run_.counts[static_cast<unsigned char>(c) & 127u];
  }

  void end_run() {
    if (run_.length >= kShortest && run_.length <= kLongest) {
      const double surprise = run_.nats / run_.length / std::log(2.0), spread = entropy(run_);
      if (surprise > kSurprise && spread > kEntropy) {
        std::array<char, 160> json{};
        std::snprintf(json.data(), json.size(), R"({"begin":%llu,"end":%llu,"surprise":%.2f,"entropy":%.2f})",
                      static_cast<unsigned long long>(run_.begin),
                      static_cast<unsigned long long>(run_.begin + run_.length), surprise, spread);
        host_.emit(json.data());
      }
    }
    run_ = {};
  }

  Host host_;
  Run run_;
};

}  // namespace

UNROLL_PLUGINS(RedactSecrets);
