#include "daemon/score_many.h"

#include <utility>

#include <boost/asio/post.hpp>

#include "base/strict_json.h"
#include "daemon/refusals.h"
#include "protocol/protocol.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr int kMostNesting = 100;

/// Returns the text; sets the row's id, and its error if there is no text.
std::string parse(std::string_view line, std::uint64_t number, nlohmann::ordered_json& row) {
  row["id"] = number;
  try {
    auto object = parse_strict_json(line, {.depth = kMostNesting});
    if (!object.is_object()) throw JsonError("it is not an object");
    if (const auto id = object.find("id"); id != object.end() && id->is_primitive()) row["id"] = *id;
    const auto text = object.find("text");
    if (text == object.end() || !text->is_string()) throw JsonError("it has no string \"text\"");
    return std::move(text->get_ref<std::string&>());
  } catch (const JsonError& error) {
    row["error"] =
        error_to_json({ErrorCode::kInvalidParams, "line " + std::to_string(number) + ": " + error.what()});
    return {};
  }
}

}  // namespace

ScoreMany::ScoreMany(ServerContext& context, std::uint32_t owner, std::string model, Callbacks callbacks)
    : context_(context), owner_(owner), model_(std::move(model)), callbacks_(std::move(callbacks)) {}

void ScoreMany::add(std::string line) {
  const auto added = std::make_shared<Line>();
  added->charge = context_.engine.charge_buffered(owner_, line.size());
  added->number = ++added_;
  lines_.push_back(added);
  context_.parsers.post(
      owner_, [self = shared_from_this(), &io = context_.io, added, line = std::move(line)]() mutable {
        auto parsed = std::make_shared<Line>();
        parsed->text = parse(line, added->number, parsed->row);
        asio::post(io, [self = std::move(self), added, parsed] {
          if (!self->callbacks_.row) return;
          added->row = std::move(parsed->row);
          added->text = std::move(parsed->text);
          if (added->row.contains("error"))
            self->complete(added);
          else
            self->open(added);
        });
      });
}

void ScoreMany::open(const LinePtr& line) {
  DocumentRequest request;
  request.plugins.push_back({"score", {{"granularity", "document"}, {"top", 0}}});
  request.name = "http score_many";
  request.owner = owner_;
  request.total_bytes = line->text.size();
  line->row["tokens"] = 0;
  line->row["bytes"] = line->text.size();
  request.text = std::exchange(line->text, {});
  const auto weak = weak_from_this();
  line->reading = std::make_shared<TextReading>(
      context_, queued_,
      TextReading::Callbacks{[line = std::weak_ptr(line)](const std::string& output) {
                               if (const auto held = line.lock()) held->output = output;
                             },
                             [weak, line = std::weak_ptr(line)](const std::exception_ptr& failure,
                                                                const DocumentStatus& status) {
                               const auto self = weak.lock();
                               const auto held = line.lock();
                               if (self && held) self->end(held, failure, status);
                             }});
  line->reading->start(model_, std::move(request));
}

void ScoreMany::end(const LinePtr& line, const std::exception_ptr& failure, const DocumentStatus& status) {
  line->reading.reset();
  try {
    if (failure) std::rethrow_exception(failure);
    line->row["tokens"] = status.tokens;
    const auto output = nlohmann::json::parse(line->output, nullptr, false);
    line->row["bits_per_byte"] =
        output.is_object() ? output.value("bits_per_byte", nlohmann::json()) : nlohmann::json();
  } catch (const Error& error) {
    if (status.phase != DocumentPhase::kFailed) count_refusal(context_.events, error, owner_);  // not opened
    line->row = {{"id", line->row["id"]}, {"error", error_to_json(error)}};
  }
  complete(line);
}

void ScoreMany::complete(const LinePtr& line) {
  line->done = true;
  line->charge.reset();
  while (!lines_.empty() && lines_.front()->done && callbacks_.row) {
    callbacks_.row(
        lines_.front()->row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    if (!lines_.empty()) lines_.pop_front();
  }
  if (callbacks_.changed) callbacks_.changed();
}

void ScoreMany::abandon(const Error& reason) {
  callbacks_ = {};
  for (const auto& line : lines_) {
    if (line->reading) std::exchange(line->reading, nullptr)->abandon(reason);
  }
  lines_.clear();
}

}  // namespace unroll
