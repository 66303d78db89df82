#include "daemon/api_call.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

#include "protocol/protocol.h"

namespace unroll {
namespace asio = boost::asio;

namespace {

/// Documents of one request that are read at the same time.
constexpr std::size_t kAtOnce = 16;
/// The result is made of all outputs as JSON values, which take several times their text.
constexpr std::size_t kMemoryPerByte = 8;
constexpr std::size_t kChargedAtOnce = std::size_t{1} << 20;

}  // namespace

ApiCall::ApiCall(ServerContext& context, std::uint32_t owner, Done done)
    : context_(context), owner_(owner), done_(std::move(done)) {}

void ApiCall::elsewhere(std::function<void()> work, std::function<void()> next) {
  context_.parsers.post(owner_, [self = shared_from_this(), &io = context_.io, work = std::move(work),
                                 next = std::move(next)]() mutable {
    std::exception_ptr failure;
    try {
      work();
    } catch (const Error&) {
      failure = std::current_exception();
    } catch (const std::exception& error) {  // a plugin of that name has other outputs
      failure = std::make_exception_ptr(
          Error(ErrorCode::kInternal, std::string("the result cannot be made: ") + error.what()));
    }
    asio::post(io, [self = std::move(self), next = std::move(next), failure] {
      if (!self->done_) return;
      if (failure) return self->fail(failure);
      next();
    });
  });
}

void ApiCall::start(std::string path, std::string body) {
  elsewhere(
      [this, path = std::move(path), body = std::move(body)] { request_ = parse_api_request(path, body); },
      [this] { find_model(); });
}

void ApiCall::find_model() {
  context_.models.ask(
      request_->model(), [self = shared_from_this(), &io = context_.io](const std::exception_ptr& failure,
                                                                        Models::RevisionPtr revision) {
        asio::post(io, [self, failure, revision = std::move(revision)]() mutable {
          if (!self->done_) return;
          if (failure) return self->fail(failure);
          self->revision_ = std::move(revision);
          const auto texts = std::make_shared<std::vector<std::string>>();
          self->elsewhere(
              [self = self.get(), texts] { *texts = self->request_->texts(*self->revision_->vocabulary); },
              [self = self.get(), texts] {
                for (auto& text : *texts) self->texts_.emplace_back().text = std::move(text);
                self->open_more();
              });
        });
      });
}

void ApiCall::open_more() {
  while (done_ && next_ < texts_.size() && at_work_ < kAtOnce) open(next_++);
  if (done_ && at_work_ == 0) make_result();
}

void ApiCall::open(std::size_t index) {
  ++at_work_;
  auto& text = texts_[index];
  DocumentRequest request;
  request.plugins.push_back(request_->plugin());
  request.name = "http " + request.plugins.front().name;
  request.owner = owner_;
  request.total_bytes = text.text.size();
  request.predict_next = request_->predicts_next();
  request.text = request.predict_next ? text.text : std::exchange(text.text, {});
  const auto weak = weak_from_this();
  text.reading = std::make_shared<TextReading>(
      context_, queued_,
      TextReading::Callbacks{[weak, index](const std::string& output) {
                               if (const auto self = weak.lock()) self->take_output(index, output);
                             },
                             [weak, index](const std::exception_ptr& failure, const DocumentStatus& status) {
                               if (const auto self = weak.lock()) self->take_end(index, failure, status);
                             }});
  text.reading->start(request_->model(), std::move(request));
}

void ApiCall::take_output(std::size_t index, const std::string& output) {
  auto& text = texts_[index];
  if (request_->predicts_next()) text.last_output = output;
  if (text.read_before) return;
  text.outputs.push_back(output);
  try {
    charge(output.size() * kMemoryPerByte);
  } catch (const Error&) {
    fail(std::current_exception());
  }
}

void ApiCall::take_end(std::size_t index, const std::exception_ptr& failure, const DocumentStatus& status) {
  auto& text = texts_[index];
  if (!std::exchange(text.read_before, true)) text.tokens = status.tokens;
  text.reading.reset();
  if (!failure && request_->predicts_next()) return write(index);
  --at_work_;
  if (!failure) return open_more();
  if (status.phase != DocumentPhase::kFailed) return fail(failure);  // it was not opened
  fail(std::make_exception_ptr(Error(status.error_code.value_or(ErrorCode::kInternal),
                                     "text " + std::to_string(index) + " of the request: " + status.error)));
}

/// Takes the predicted token, and reads the text again with it if more are to be written.
void ApiCall::write(std::size_t index) {
  elsewhere(
      [this, index] {
        auto& text = texts_[index];
        const auto output = nlohmann::json::parse(text.last_output);
        text.written = request_->go_on(index, output, *revision_->vocabulary);
      },
      [this, index] {
        auto& text = texts_[index];
        --at_work_;
        if (!text.written) return open_more();
        text.text += *text.written;
        open(index);
      });
}

/// To its user. Throws LimitError.
void ApiCall::charge(std::size_t bytes) {
  uncharged_ += bytes;
  if (uncharged_ < kChargedAtOnce) return;
  charges_.push_back(context_.engine.charge_buffered(owner_, uncharged_));
  uncharged_ = 0;
}

void ApiCall::make_result() {
  const auto created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const auto result = std::make_shared<std::string>();
  elsewhere(
      [this, result, created] {
        std::vector<ApiRequest::Outputs> outputs;
        for (const auto& text : texts_) {
          auto& own = outputs.emplace_back();
          own.tokens = text.tokens;
          for (const auto& line : text.outputs) own.outputs.push_back(nlohmann::json::parse(line));
        }
        *result =
            dump_json(request_->result(outputs, *revision_->vocabulary, revision_->name, created)) + "\n";
      },
      [this, result] { std::exchange(done_, nullptr)(nullptr, std::move(*result)); });
}

void ApiCall::fail(std::exception_ptr why) {
  if (!done_) return;
  cancel_documents({ErrorCode::kCancelled, "another text of its request failed"});
  std::exchange(done_, nullptr)(std::move(why), {});
}

void ApiCall::abandon(const Error& reason) {
  done_ = nullptr;
  cancel_documents(reason);
}

void ApiCall::cancel_documents(const Error& reason) {
  for (auto& text : texts_) {
    if (text.reading) std::exchange(text.reading, nullptr)->abandon(reason);
  }
}

}  // namespace unroll
