#include "client/logs/budgeted_log.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <poll.h>

#include "base/write_all.h"
#include "client/sources/pump.h"
#include "client/views/view.h"
#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/records/record.h"
#include "plugins/host.h"

namespace unroll {
namespace {

constexpr std::uint64_t kReadBytes = 1 << 20;
constexpr std::size_t kWrittenBytes = 64 * 1024;
constexpr std::uint64_t kLinesBetweenLooks = 4096;  // for a stop
constexpr std::size_t kBlockTokens = 4096;
constexpr std::size_t kMostShapes = 1'000'000;  // counted; lines of further ones are read
constexpr float kUnread = 1;                    // as plugins/builtin/anomaly.cc has it

/// The lines of a log, with their newlines.
class LineReader {
 public:
  /// `log`: keep_text() was called.
  explicit LineReader(const Source& log) : log_(log) {}
  /// Valid until the next call; nullopt at the end.
  std::optional<std::string_view> next() {
    std::size_t newline = text_.find('\n', begin_);
    while (newline == std::string::npos) {
      text_.erase(0, std::exchange(begin_, 0));
      const std::size_t searched = text_.size();
      const std::string bytes = log_.text(at_, at_ + kReadBytes);
      at_ += bytes.size();
      text_ += bytes;
      newline = bytes.empty() ? text_.size() : text_.find('\n', searched);
    }
    const auto line = std::string_view(text_).substr(begin_, newline + 1 - begin_);
    begin_ += line.size();
    return line.empty() ? std::nullopt : std::optional(line);
  }

 private:
  const Source& log_;
  std::string text_;
  std::size_t begin_ = 0;  ///< Of the next line.
  std::uint64_t at_ = 0;   ///< Where the next bytes are in the log.
};

/// Which lines the model reads.
class ShapeBudget {
 public:
  explicit ShapeBudget(std::uint64_t budget) : budget_(budget) {}
  bool wants(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    const auto carried = records::carried_text(line);
    const int severity = records::record_facts(carried.text, carried.level).severity;
    const std::uint64_t shape = builtin::line_shape(carried.text, severity).whole;
    const auto known = counts_.find(shape);
    if (known != counts_.end()) return known->second++ < budget_;
    if (counts_.size() < kMostShapes) counts_[shape] = 1;
    return true;
  }

 private:
  const std::uint64_t budget_;
  std::unordered_map<std::uint64_t, std::uint64_t> counts_;
};

/// The lines that the model reads, as a document.
class ChosenLines : public Pump {
 public:
  ChosenLines(const Source& log, std::uint64_t budget) : lines_(log), shapes_(budget) {}
  std::uint64_t begin(std::uint64_t) override { return 0; }  // not in the middle
  void run(int pipe, int stop) override {
    std::string chosen;
    std::uint64_t lines = 0;
    for (auto line = lines_.next(); line; line = lines_.next()) {
      pollfd stopped{stop, POLLIN, 0};
      if (++lines % kLinesBetweenLooks == 0 && ::poll(&stopped, 1, 0) > 0) return;
      if (shapes_.wants(*line)) chosen += *line;
      if (chosen.size() < kWrittenBytes) continue;
      if (!write_all(pipe, chosen)) return;
      chosen.clear();
    }
    write_all(pipe, chosen);
  }

 private:
  LineReader lines_;
  ShapeBudget shapes_;
};

/// Gives the plugin the whole log, in blocks.
class PluginFeeder {
 public:
  PluginFeeder(const nlohmann::json& options, const OutputFunction& output) {
    registry_.load_library(default_plugin_directory() / "unroll_anomaly.so");
    instance_ = registry_.create("anomaly", options.dump(), [&output](const std::string& text) {
      output("anomaly", nlohmann::json::parse(text));
    });
  }

  void token(std::string_view bytes, float logprob) {
    text_ += bytes;
    offsets_.push_back(offsets_.back() + bytes.size());
    logprobs_.push_back(logprob);
    if (logprobs_.size() == kBlockTokens) process();
  }

  void finish() {
    if (!logprobs_.empty()) process();
    instance_->finish(tokens_, offsets_.back());
  }

 private:
  void process() {
    const std::vector<std::int32_t> ids(logprobs_.size());
    const std::vector<float> entropy(logprobs_.size());
    unroll_block block{};
    block.size = sizeof block;
    block.index = blocks_++;
    block.first_token = tokens_;
    block.length = logprobs_.size();
    block.tokens = ids.data();
    block.offsets = offsets_.data();
    block.logprobs = logprobs_.data();
    block.entropy = entropy.data();
    block.text = text_.data();
    block.text_bytes = text_.size();
    instance_->process(block);
    tokens_ += logprobs_.size();
    offsets_ = {offsets_.back()};
    logprobs_.clear();
    text_.clear();
  }

  PluginRegistry registry_;
  std::unique_ptr<PluginInstance> instance_;
  std::uint64_t blocks_ = 0, tokens_ = 0;
  std::string text_;
  std::vector<std::uint64_t> offsets_ = {0};
  std::vector<float> logprobs_;
};

/// Joins the tokens of the lines that the model read with the lines that it did not.
class MergedLog {
 public:
  MergedLog(const Source& log, std::uint64_t budget, PluginFeeder& feeder)
      : lines_(log), shapes_(budget), feeder_(feeder) {}

  /// The next tokens. Feeds the lines that they complete, and the lines between those.
  void add(const nlohmann::json& block) {
    const auto& end = block.at("end");
    const auto& nats = block.at("nats");
    for (std::size_t i = 0; i < end.size(); ++i)
      tokens_.push_back({end[i].get<std::uint64_t>(), -nats.at(i).get<float>()});
    feed(false);
  }
  void finish() {
    feed(true);
    feeder_.finish();
  }

 private:
  struct Token {
    std::uint64_t end = 0;  ///< In the text of the lines that were read.
    float logprob = 0;
  };

  void feed(bool all) {
    while (has_line_ || take_line()) {
      const bool has_tokens = !tokens_.empty() && tokens_.back().end >= at_ + line_.size();
      if (is_read_ && !has_tokens && !all) return;
      if (is_read_)
        cut(line_);
      else
        feeder_.token(line_, kUnread);
      has_line_ = false;
    }
  }
  bool take_line() {
    const auto line = lines_.next();
    if (!line) return false;
    line_ = *line;
    is_read_ = shapes_.wants(line_);
    return has_line_ = true;
  }

  /// Cuts the line into its tokens. Of a token that ends in the next line that was read, the part there does
  /// not count.
  void cut(std::string_view line) {
    while (!line.empty()) {
      const bool has_token = !tokens_.empty();
      const std::uint64_t end = has_token ? tokens_.front().end : at_ + line.size();
      const auto piece = line.substr(0, std::min<std::uint64_t>(end - at_, line.size()));
      if (!piece.empty()) feeder_.token(piece, has_token && !begun_ ? tokens_.front().logprob : kUnread);
      at_ += piece.size();
      begun_ = at_ < end;
      if (has_token && !begun_) tokens_.pop_front();
      line.remove_prefix(piece.size());
    }
  }

  LineReader lines_;
  ShapeBudget shapes_;  ///< Chooses as that of ChosenLines does.
  PluginFeeder& feeder_;
  std::deque<Token> tokens_;
  std::string line_;  ///< The next to feed.
  bool has_line_ = false, is_read_ = false;
  std::uint64_t at_ = 0;  ///< In the text of the lines that were read.
  bool begun_ = false;    ///< The line before has the token's beginning.
};

}  // namespace

void read_within_budget(Reader& reader, const Source& log, std::uint64_t budget,
                        const nlohmann::json& plugin_options, ResultWriter& writer,
                        const OutputFunction& output) {
  Source chosen = Source::pumped(log.name(), std::make_unique<ChosenLines>(log, budget));
  PluginFeeder feeder(plugin_options, output);
  MergedLog merged(log, budget, feeder);
  read_document(reader, chosen, request_for("score", {{"granularity", "token"}}), writer,
                [&](const std::string&, const nlohmann::json& data) {
                  if (type_of(data) == "tokens") merged.add(data);
                });
  merged.finish();
}

}  // namespace unroll
