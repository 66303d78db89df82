#include "client/logs/budgeted_log.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/views/view.h"
#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/records/record.h"
#include "plugins/host.h"

namespace unroll {
namespace {

constexpr std::uint64_t kReadBytes = 1 << 20;
constexpr std::size_t kBlockTokens = 4096;
constexpr std::size_t kMostShapes = 1'000'000;  // counted; lines of further ones are read
constexpr float kUnread = 1;                    // as plugins/builtin/anomaly.cc has it

/// Calls `take` with each line and its newline.
void for_each_line(const Source& log, const std::function<void(std::string_view)>& take) {
  std::string text;
  std::uint64_t at = 0;
  for (std::string bytes = log.text(0, kReadBytes); !bytes.empty(); bytes = log.text(at, at + kReadBytes)) {
    at += bytes.size();
    text += bytes;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      take(std::string_view(text).substr(begin, end + 1 - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
  }
  if (!text.empty()) take(text);
}

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

/// The tokens of the lines that the model read, in order.
struct ReadTokens {
  std::vector<std::uint64_t> ends;  ///< In the text of those lines.
  std::vector<float> logprobs;

  void add(const nlohmann::json& block) {
    const auto& end = block.at("end");
    const auto& nats = block.at("nats");
    for (std::size_t i = 0; i < end.size(); ++i) {
      ends.push_back(end[i].get<std::uint64_t>());
      logprobs.push_back(-nats.at(i).get<float>());
    }
  }
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

/// Cuts the lines that the model read into its tokens. Of a token that ends in the next line that was read,
/// the part there does not count.
class TokenCutter {
 public:
  TokenCutter(const ReadTokens& tokens, PluginFeeder& feeder) : tokens_(tokens), feeder_(feeder) {}
  void line(std::string_view line) {
    while (!line.empty()) {
      const bool has_token = next_ < tokens_.ends.size();
      const std::uint64_t end = has_token ? tokens_.ends[next_] : at_ + line.size();
      const auto piece = line.substr(0, std::min<std::uint64_t>(end - at_, line.size()));
      if (!piece.empty()) feeder_.token(piece, has_token && !begun_ ? tokens_.logprobs[next_] : kUnread);
      at_ += piece.size();
      begun_ = at_ < end;
      if (has_token && !begun_) ++next_;
      line.remove_prefix(piece.size());
    }
  }

 private:
  const ReadTokens& tokens_;
  PluginFeeder& feeder_;
  std::size_t next_ = 0;
  std::uint64_t at_ = 0;  ///< In the text of the lines that were read.
  bool begun_ = false;    ///< The line before has the token's beginning.
};

}  // namespace

void read_within_budget(Reader& reader, const Source& log, std::uint64_t budget,
                        const nlohmann::json& plugin_options, ResultWriter& writer,
                        const OutputFunction& output) {
  ShapeBudget shapes(budget);
  std::vector<bool> is_read;
  std::string text;
  for_each_line(log, [&](std::string_view line) {
    is_read.push_back(shapes.wants(line));
    if (is_read.back()) text += line;
  });
  Source chosen = Source::of_text(log.name(), text);
  text = std::string();
  ReadTokens tokens;
  read_document(reader, chosen, request_for("score", {{"granularity", "token"}}), writer,
                [&](const std::string&, const nlohmann::json& data) {
                  if (type_of(data) == "tokens") tokens.add(data);
                });
  PluginFeeder feeder(plugin_options, output);
  TokenCutter cutter(tokens, feeder);
  std::size_t next = 0;
  for_each_line(log, [&](std::string_view line) {
    if (is_read[next++])
      cutter.line(line);
    else
      feeder.token(line, kUnread);
  });
  feeder.finish();
}

}  // namespace unroll
