// top: the daemon's load, redrawn every second; for scripts one line of JSON each time.
#include <algorithm>
#include <array>
#include <deque>
#include <iostream>
#include <memory>

#include <poll.h>
#include <unistd.h>

#include "base/stop_signals.h"
#include "client/cli/command_line.h"
#include "client/cli/progress.h"
#include "client/cli/terminal.h"
#include "client/cli/text.h"
#include "client/reading/connection.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct TopOptions {
  SharedOptions shared;
  double interval = 1;      ///< Seconds.
  std::int64_t rounds = 0;  ///< 0: until Ctrl-C.
};

constexpr std::size_t kRatesKept = 60;
constexpr std::int64_t kDocumentsAsked = 1000;
// The terminal's alternate screen, which does not scroll and leaves the main screen unchanged.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l", kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H", kClearRest = "\x1b[J", kClearLine = "\x1b[K";

/// Rates from two samples of the counters.
struct Rates {
  double tokens = 0, bytes = 0, model = 0, plugins = 0, journal = 0;  ///< Per second; shares of the time.
};

Rates rates_between(const json& before, const json& now) {
  const auto seconds = now.at("uptime_seconds").get<double>() - before.at("uptime_seconds").get<double>();
  if (seconds <= 0) return {};
  const auto rate = [&](const char* key) {
    return (now.at(key).get<double>() - before.at(key).get<double>()) / seconds;
  };
  return {rate("tokens"), rate("bytes"), rate("model_seconds"), rate("plugin_seconds"),
          rate("journal_seconds")};
}

/// A graph of the last rates, the newest at the right, scaled to the highest.
std::string sparkline(const std::deque<double>& rates) {
  constexpr std::array kSteps = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double highest = std::max(1.0, *std::ranges::max_element(rates));
  std::string line;
  for (const double rate : rates) {
    line += kSteps[std::min(kSteps.size() - 1, static_cast<std::size_t>(rate / highest * kSteps.size()))];
  }
  return line;
}

std::string percent(double share) {
  return fixed(100 * share, 0) + " %";
}

std::vector<std::string> summary_lines(const json& info, const json& stats, const Rates& rates,
                                       const std::deque<double>& history) {
  const auto number = [&](const char* key) { return stats.at(key).get<std::uint64_t>(); };
  const json& model = info.at("model");
  return {
      "unrolld " + one_line(info.at("version").get<std::string>()) + ", model " +
          one_line(model.at("name").get<std::string>()) + " (" +
          one_line(model.at("device").get<std::string>()) + ", " +
          one_line(model.at("dtype").get<std::string>()) + "), up " +
          readable_seconds(stats.at("uptime_seconds").get<double>()),
      "documents  " + with_thousands(number("open_documents")) + " open, " +
          with_thousands(number("waiting_documents")) + " of them waiting for bytes; " +
          with_thousands(number("documents_done")) + " done, " + with_thousands(number("documents_failed")) +
          " failed",
      "reading    " + with_thousands(static_cast<std::uint64_t>(rates.tokens)) + " tokens/s, " +
          readable_bytes(rates.bytes) + "/s",
      "time       model " + percent(rates.model) + ", plugins " + percent(rates.plugins) + ", journal " +
          percent(rates.journal),
      "memory     " + readable_bytes(stats.at("resident_bytes").get<double>()) + " in all, documents " +
          readable_bytes(stats.at("memory_bytes").get<double>()) + ", waiting to be read " +
          readable_bytes(stats.at("buffered_bytes").get<double>()),
      sparkline(history),
  };
}

std::string document_line(const DocumentStatus& status, std::size_t width) {
  constexpr std::size_t kBar = 30, kNumber = 12;
  const bool known = status.total_bytes.value_or(0) > 0;
  const double share =
      known ? static_cast<double>(status.bytes) / static_cast<double>(*status.total_bytes) : 0;
  return cut(left(status.id.substr(0, 8), 10) + left(known ? progress_bar(share, kBar) : "", kBar + 2) +
                 right(readable_bytes(static_cast<double>(status.bytes)), kNumber) +
                 right(with_thousands(static_cast<std::uint64_t>(status.tokens_per_second)), kNumber) + "  " +
                 one_line(status.name),
             width);
}

/// Cuts the text to the terminal's lines and columns.
std::string screen(const Terminal& terminal, std::vector<std::string> lines, const json& documents) {
  lines.push_back(std::string());
  for (auto& line : lines) line = cut(line, terminal.width);
  lines.push_back(dim(terminal, cut(left("document", 10) + left("read", 32) + right("bytes", 12) +
                                        right("tokens/s", 12) + "  name",
                                    terminal.width)));
  std::size_t left_out = 0;
  for (const json& value : documents) {
    const DocumentStatus status = status_from_json(value);
    if (status.phase != DocumentPhase::kOpen) continue;
    if (lines.size() + 2 < terminal.height) {
      lines.push_back(document_line(status, terminal.width));
    } else {
      ++left_out;
    }
  }
  if (left_out > 0) lines.push_back(dim(terminal, "and " + with_thousands(left_out) + " more"));
  std::string text;
  for (const auto& line : lines)
    text += (text.empty() ? "" : "\n") + line + (terminal.moves ? std::string(kClearLine) : "");
  return text;
}

/// Waits. Returns true if the user wants to stop; a signal ends the wait.
bool wait(double seconds) {
  ::poll(nullptr, 0, static_cast<int>(seconds * 1000));
  return stop_signal() != 0;
}

/// Leaves the alternate screen however the command ends.
class SecondScreen {
 public:
  explicit SecondScreen(bool there) : there_(there) {
    if (there_) std::cout << kEnter;
  }
  ~SecondScreen() {
    if (there_) std::cout << kLeave << std::flush;
  }
  SecondScreen(const SecondScreen&) = delete;
  SecondScreen& operator=(const SecondScreen&) = delete;

 private:
  bool there_;
};

int top(const TopOptions& options) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  const bool as_json = options.shared.format == "ndjson";
  const bool moves = !as_json && terminal_of(STDOUT_FILENO).moves;
  std::deque<double> history;
  json before = daemon.call(method::kStats, json::object());
  stop_at_signals();
  const SecondScreen second(moves);
  for (std::int64_t round = 0; options.rounds == 0 || round < options.rounds; ++round) {
    if (wait(options.interval)) break;
    const json info = daemon.call(method::kInfo, json::object());
    const json stats = daemon.call(method::kStats, json::object());
    const json documents = daemon.call(method::kList, {{"limit", kDocumentsAsked}}).at("documents");
    const Rates rates = rates_between(before, stats);
    before = stats;
    history.push_back(rates.tokens);
    if (history.size() > kRatesKept) history.pop_front();
    if (as_json) {
      std::cout << to_line(ordered_json{{"tokens_per_second", rates.tokens},
                                        {"bytes_per_second", rates.bytes},
                                        {"stats", stats},
                                        {"documents", documents}});
    } else {
      const auto text =
          screen(terminal_of(STDOUT_FILENO), summary_lines(info, stats, rates, history), documents);
      std::cout << (moves ? kHome : "") << text << (moves ? kClearRest : "\n");
    }
    std::cout << (as_json ? "\n" : "") << std::flush;
  }
  return 0;
}

}  // namespace

void add_top_command(CommandLine& line) {
  auto options = std::make_shared<TopOptions>();
  options->shared.format = "text";
  CLI::App* command =
      line.app().add_subcommand("top", "Monitor the daemon: rates, memory, your documents; Ctrl-C ends it");
  command->add_option("--interval", options->interval, "Seconds between updates")
      ->check(CLI::Range(0.1, 3600.0).description(""))
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "End after this many updates; 0: never")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--format", options->shared.format, "text, or one line of JSON per update")
      ->check(one_of({"text", "ndjson"}))
      ->type_name("text|ndjson")
      ->capture_default_str();
  add_socket_flag(*command, options->shared);
  line.on(command, [options] { return top(*options); });
}

}  // namespace unroll
