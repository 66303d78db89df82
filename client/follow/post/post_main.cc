// `unroll-post`: delivers the events in a spool, the oldest first, each at least once. It is a program of its
// own: `unroll follow` does not load libcurl and does not wait for a slow server. The first line of standard
// input holds the settings. Each later byte announces new events. At the end of input the program ends.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>
#include <string>

#include <poll.h>
#include <unistd.h>

#include "client/follow/post/target.h"
#include "client/follow/spool.h"

namespace unroll {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{250}, kLongestPause{60'000};

void note(const std::string& text) {
  std::cerr << "unroll: " + text + "\n";
}

std::string read_line(int file) {
  std::string line;
  for (char c = '\0'; ::read(file, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

/// Waits for new events, or until `until`. False at standard input's end.
bool wait(std::optional<Clock::time_point> until) {
  for (;;) {
    int left = -1;
    if (until)
      left = static_cast<int>(
          std::max<std::int64_t>(std::chrono::ceil<milliseconds>(*until - Clock::now()).count(), 0));
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, left);
    if (ready == 0) return true;
    if (ready < 0) continue;
    std::array<char, 4096> bytes;
    if (::read(STDIN_FILENO, bytes.data(), bytes.size()) <= 0) return false;
    if (!until) return true;
  }
}

class Poster {
 public:
  Poster(Spool& spool, Target& target) : spool_(spool), target_(target) {}

  /// Delivers what is there. Returns when to try again, if that is needed.
  std::optional<Clock::time_point> deliver_all() {
    std::size_t dropped = 0;
    const auto events = spool_.waiting(dropped);
    if (dropped > 0)
      note("too many events wait for " + target_.name() + "; the oldest " + std::to_string(dropped) +
           " are dropped");
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (!deliver(events[i], events.size() - i)) return Clock::now() + next_pause();
    }
    return std::nullopt;
  }

 private:
  bool deliver(const std::filesystem::path& file, std::size_t waiting) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const json event = json::parse(text, nullptr, false);
    const Delivery delivery =
        event.is_object() ? target_.deliver(event) : Delivery{Delivery::Result::kRefused, "it is damaged"};
    if (delivery.result == Delivery::Result::kTryAgain) {
      if (pause_ == milliseconds(0))
        note(target_.name() + " does not take events: " + delivery.why + "; " + std::to_string(waiting) +
             (waiting == 1 ? " waits" : " wait") + ", unroll keeps trying");
      return false;
    }
    if (delivery.result == Delivery::Result::kRefused) {
      note(target_.name() + " refuses an event: " + delivery.why + "; it is kept in " +
           (file.parent_path() / "refused").string());
      spool_.refuse(file);
    } else {
      std::filesystem::remove(file);
    }
    pause_ = milliseconds(0);
    return true;
  }

  /// Doubles; differs by up to a fifth, so that many clients do not come back at once.
  milliseconds next_pause() {
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
    return pause_ - milliseconds(std::uniform_int_distribution<std::int64_t>(0, pause_.count() / 5)(random_));
  }

  Spool& spool_;
  Target& target_;
  milliseconds pause_{0};
  std::mt19937 random_{std::random_device()()};
};

void post() {
  const json settings = json::parse(read_line(STDIN_FILENO));
  Spool spool(settings.at("spool").get<std::string>());
  const auto command = settings.at("command").get<std::string>();
  const auto target =
      command.empty() ? make_webhook(settings.at("url"), settings.at("format")) : make_command(command);
  spool.lock();
  Poster poster(spool, *target);
  while (wait(poster.deliver_all())) {
  }
  poster.deliver_all();
}

}  // namespace
}  // namespace unroll

int main() {
  // Ctrl-C and systemd signal all processes; this one ends when `unroll follow` does.
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) std::signal(signal, SIG_IGN);
  try {
    unroll::post();
    return 0;
  } catch (const std::exception& error) {
    unroll::note(error.what());
    return 1;
  }
}
