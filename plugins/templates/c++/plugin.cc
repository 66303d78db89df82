// @NAME@: counts the tokens of a document and adds up their surprisal.
#include <cstdio>
#include <cstring>
#include <string>

#include <unroll/plugin.hpp>

using namespace unroll::plugin;

class @CLASS@ {
 public:
  static constexpr About kAbout{
      .name = "@NAME@", .version = "1", .description = "Counts tokens and their surprise"};

  @CLASS@(Host, std::string_view options) {
    if (options != "{}") throw OptionsError("it takes no options");
  }

  void process(const Block& block, Host) {
    state_.tokens += block.size();
    for (const float logprob : block.logprobs()) state_.nats -= static_cast<double>(logprob);
  }
  void finish(const End&, Host host) {
    char json[128];
    std::snprintf(json, sizeof json, "{\"tokens\":%llu,\"nats\":%.3f}",
                  static_cast<unsigned long long>(state_.tokens), state_.nats);
    host.emit(json);
  }

  std::string save() const { return {reinterpret_cast<const char*>(&state_), sizeof state_}; }
  void load(std::span<const std::byte> bytes) {
    State state;
    if (bytes.size() == sizeof state) std::memcpy(&state, bytes.data(), sizeof state);
    const bool sound = bytes.size() == sizeof state && std::memcmp(state.tag, State().tag, sizeof state.tag) == 0;
    if (!sound) throw StateError("not a state of @NAME@ 1");
    state_ = state;
  }

 private:
  /// The state kept between blocks; saved and loaded as it is.
  struct State {
    char tag[9] = "@TAG@";  // names the plugin and its version
    char reserved[7] = {};
    std::uint64_t tokens = 0;
    double nats = 0;
  };
  State state_;
};

UNROLL_PLUGINS(@CLASS@);
