#include "daemon/api_call.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace unroll {
namespace asio = boost::asio;

namespace {

/// Documents of one request that are read at the same time.
constexpr std::size_t kAtOnce = 16;
/// No more outputs are taken while so many bytes of them wait to be passed on; the journal has them.
constexpr std::size_t kMostHeld = std::size_t{1} << 20;
/// A shorter text is read again for each token that is written; writing a snapshot of it would take longer.
constexpr std::size_t kLeastOfSnapshot = std::size_t{16} << 10;
constexpr std::chrono::hours kSnapshotExpires{24};  // if the daemon dies before it removes it

}  // namespace

ApiCall::ApiCall(ServerContext& context, std::uint32_t owner, Callbacks callbacks)
    : context_(context), owner_(owner), callbacks_(std::move(callbacks)) {}

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
      if (!self->callbacks_.done) return;
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
  context_.models.ask(request_->model(),
                      [self = shared_from_this(), &io = context_.io](const std::exception_ptr& failure,
                                                                     Models::RevisionPtr revision) {
                        asio::post(io, [self, failure, revision = std::move(revision)]() mutable {
                          if (!self->callbacks_.done) return;
                          if (failure) return self->fail(failure);
                          self->revision_ = std::move(revision);
                          self->begin_result();
                        });
                      });
}

void ApiCall::begin_result() {
  const auto created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const auto texts = std::make_shared<std::vector<std::string>>();
  const auto piece = std::make_shared<std::string>();
  elsewhere(
      [this, created, texts, piece] {
        *texts = request_->texts(revision_->vocabulary);
        charge(request_->memory());
        *piece = request_->begin(revision_->name, created);
      },
      [this, texts, piece] {
        for (auto& text : *texts) texts_.emplace_back().text = std::move(text);
        callbacks_.piece(*piece);
        begun_ = true;
        pump();
      });
}

/// For the whole request, before anything of its result is passed on. Throws LimitError.
void ApiCall::charge(std::size_t bytes) {
  const auto most = static_cast<std::size_t>(context_.config.max_buffered_bytes_per_user);
  if (bytes > most)
    throw TooLarge("the result of the request takes " + std::to_string(bytes) + " bytes of memory",
                   "limits.buffered_bytes_per_user", most,
                   "send fewer or shorter texts, or ask for no logprobs");
  if (bytes > 0) charge_ = context_.engine.charge_buffered(owner_, bytes);
}

void ApiCall::open_more() {
  while (callbacks_.done && next_ < texts_.size() && being_read_ < kAtOnce &&
         (held_ < kMostHeld || next_ == front_)) {
    ++being_read_;
    open(next_++);
  }
}

void ApiCall::open(std::size_t index) {
  auto& text = texts_[index];
  DocumentRequest request;
  request.plugins.push_back(request_->plugin());
  request.name = "http " + request.plugins.front().name;
  request.owner = owner_;
  request.total_bytes = text.text.size();
  request.predict_next = request_->most_written() > 0;
  if (!text.snapshot.empty()) {
    request.from = text.snapshot;
  } else if (request_->most_written() > 1 && text.text.size() >= kLeastOfSnapshot) {
    text.snapshot = request.name + " " + random_document_id();
    request.snapshot = {text.snapshot, kSnapshotExpires};
  }
  const bool read_again = request_->most_written() > 1 && !request.snapshot;
  request.text = read_again ? text.text : std::exchange(text.text, {});
  const auto weak = weak_from_this();
  text.reading = std::make_shared<TextReading>(
      context_, queued_,
      TextReading::Callbacks{[weak, index](const std::string& output) {
                               if (const auto self = weak.lock()) self->take_output(index, output);
                             },
                             [weak, index](const std::exception_ptr& failure, const DocumentStatus& status) {
                               if (const auto self = weak.lock()) self->take_end(index, failure, status);
                             },
                             [weak, index] {
                               const auto self = weak.lock();
                               return !self || self->has_room(index);
                             }});
  text.reading->start(request_->model(), std::move(request));
}

/// Whether the text's next output is wanted. The texts after the front wait for it.
bool ApiCall::has_room(std::size_t index) const {
  const auto& text = texts_[index];
  return text.read_before ||
         (index == front_ ? text.pieces.empty() && text.outputs.empty() : held_ < kMostHeld);
}

void ApiCall::take_output(std::size_t index, const std::string& output) {
  auto& text = texts_[index];
  if (request_->most_written() > 0) text.last_output = output;
  if (text.read_before) return;
  held_ += output.size();
  text.outputs.push_back(output);
  make_pieces(index);
}

void ApiCall::take_end(std::size_t index, const std::exception_ptr& failure, const DocumentStatus& status) {
  auto& text = texts_[index];
  text.reading.reset();
  if (!failure) {
    if (!text.read_before) text.tokens = status.tokens;
    text.ended = true;
    return make_pieces(index);
  }
  if (status.phase != DocumentPhase::kFailed) return fail(failure);  // it was not opened
  fail(std::make_exception_ptr(Error(status.error_code.value_or(ErrorCode::kInternal),
                                     "text " + std::to_string(index) + " of the request: " + status.error)));
}

/// Of the outputs that have come, in order.
void ApiCall::make_pieces(std::size_t index) {
  auto& text = texts_[index];
  if (text.at_work || (text.outputs.empty() && !text.ended)) return;
  text.at_work = true;
  if (text.outputs.empty()) return end_reading(index);
  const auto outputs = std::make_shared<std::vector<std::string>>(std::exchange(text.outputs, {}));
  const auto piece = std::make_shared<std::string>();
  elsewhere(
      [this, index, outputs, piece] {
        for (const auto& output : *outputs) *piece += request_->add_output(index, output);
      },
      [this, index, outputs, piece] {
        for (const auto& output : *outputs) held_ -= output.size();
        texts_[index].at_work = false;
        add_piece(index, *piece);
        make_pieces(index);
      });
}

/// Takes the predicted token, and reads the text again with it if more are to be written.
void ApiCall::end_reading(std::size_t index) {
  struct Made {
    std::string piece;
    std::optional<std::string> written;
  };
  const auto made = std::make_shared<Made>();
  elsewhere(
      [this, index, made] {
        const auto& text = texts_[index];
        if (!text.read_before) made->piece = request_->end_text(index, text.tokens);
        if (request_->most_written() > 0) made->written = request_->go_on(index, text.last_output);
      },
      [this, index, made] {
        auto& text = texts_[index];
        text.at_work = text.ended = false;
        text.read_before = true;
        if (made->written) {
          text.text += *made->written;
          open(index);
        } else {
          end_text(text);
        }
        add_piece(index, made->piece);
      });
}

void ApiCall::end_text(Text& text) {
  text.complete = true;
  --being_read_;
  text.text = text.last_output = {};
  remove_snapshot(text);
}

void ApiCall::add_piece(std::size_t index, const std::string& piece) {
  texts_[index].pieces += piece;
  held_ += piece.size();
  pump();
}

void ApiCall::pump() {
  while (callbacks_.done && front_ < texts_.size() && !resting_ && callbacks_.has_room()) {
    auto& text = texts_[front_];
    if (const auto piece = std::exchange(text.pieces, {}); !piece.empty()) {
      held_ -= piece.size();
      callbacks_.piece(piece);
    } else if (text.complete) {
      make_rest();
    } else {
      break;
    }
  }
  open_more();
  for (auto index = front_; index < next_; ++index) {
    if (const auto reading = texts_[index].reading) reading->pump();
  }
  if (callbacks_.done && begun_ && front_ == texts_.size()) end_result();
}

/// The next piece of the front's; the next text follows after the last.
void ApiCall::make_rest() {
  resting_ = true;
  const auto piece = std::make_shared<std::string>();
  elsewhere([this, index = front_, piece] { *piece = request_->rest(index); },
            [this, piece] {
              resting_ = false;
              if (piece->empty()) ++front_;
              if (piece->empty()) return pump();
              add_piece(front_, *piece);
            });
}

void ApiCall::end_result() {
  callbacks_.piece(request_->end());
  std::exchange(callbacks_, {}).done(nullptr);
}

void ApiCall::fail(std::exception_ptr why) {
  if (!callbacks_.done) return;
  cancel_documents({ErrorCode::kCancelled, "another text of its request failed"});
  std::exchange(callbacks_, {}).done(std::move(why));
}

void ApiCall::abandon(const Error& reason) {
  callbacks_ = {};
  cancel_documents(reason);
}

void ApiCall::cancel_documents(const Error& reason) {
  for (auto& text : texts_) {
    if (text.reading) std::exchange(text.reading, nullptr)->abandon(reason);
    remove_snapshot(text);
  }
}

void ApiCall::remove_snapshot(Text& text) {
  if (text.snapshot.empty()) return;
  context_.journal_jobs.post(
      owner_, [&engine = context_.engine, owner = owner_, name = std::exchange(text.snapshot, {})] {
        try {
          engine.remove_snapshot(owner, name);
        } catch (const Error& error) {  // it was not made yet, and will not be
          spdlog::debug("snapshot '{}' is not removed: {}", name, error.what());
        }
      });
}

}  // namespace unroll
