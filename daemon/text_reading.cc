#include "daemon/text_reading.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "daemon/open_document.h"

namespace unroll {

TextReading::TextReading(ServerContext& context, Subscription::QueuedBytes queued, Callbacks callbacks)
    : context_(context), queued_(std::move(queued)), callbacks_(std::move(callbacks)) {}

void TextReading::start(const std::string& model, DocumentRequest request) {
  owner_ = request.owner;
  subscription_ = std::make_shared<Subscription>(context_.surroundings(), weak_from_this(), owner_, queued_);
  open_document(context_, model, std::move(request), subscription_,
                [self = shared_from_this()](const std::exception_ptr& failure, const Opened& opened) {
                  if (failure) return self->end(failure, {});
                  if (self->abandoned_) {
                    self->context_.engine.cancel(opened.id, *self->abandoned_);
                    return;
                  }
                  self->id_ = opened.id;
                  self->subscription_->start(opened.id, opened.next_sequence);
                });
}

void TextReading::abandon(const Error& reason) {
  callbacks_ = {};
  abandoned_ = reason;
  if (subscription_) subscription_->detach();
  if (!id_.empty()) context_.engine.cancel(id_, reason);
}

void TextReading::on_output(const DocumentId&, const Output& output) {
  if (callbacks_.output) callbacks_.output(output.json);
}

void TextReading::on_finished(const DocumentStatus& status) {
  context_.journal_jobs.post(owner_, [&engine = context_.engine, id = std::exchange(id_, {})] {
    try {
      engine.remove(id);
    } catch (const Error& error) {
      spdlog::debug("document {} is kept: {}", id, error.what());
    }
  });
  if (status.phase != DocumentPhase::kFailed) return end(nullptr, status);
  end(std::make_exception_ptr(Error(status.error_code.value_or(ErrorCode::kInternal), status.error)), status);
}

void TextReading::end(const std::exception_ptr& failure, const DocumentStatus& status) {
  if (const auto ended = std::exchange(callbacks_, {}).ended) ended(failure, status);
}

}  // namespace unroll
