#include "daemon/document_feed.h"

#include <algorithm>
#include <span>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kPause{100};

}  // namespace

DocumentSource DocumentSource::of(ServerContext& context, std::shared_ptr<SourceReader> reader,
                                  const SourceReader::Answer& answer) {
  DocumentSource source;
  source.handle = std::make_shared<ForeignSource>(context.io, std::move(reader), answer.reply.source);
  source.is_file = answer.reply.is_file != 0;
  if (source.is_file && answer.reply.file_bytes > 0) source.bytes = answer.reply.file_bytes;
  source.location = answer.location();
  return source;
}

std::shared_ptr<DocumentFeed> DocumentFeed::start(ServerContext& context, DocumentSource source,
                                                  const Opened& opened) {
  if (source.is_file && opened.resume_bytes > source.bytes.value_or(0))
    throw Error(ErrorCode::kSource, "document " + opened.id + ": " + too_few_bytes(opened.resume_bytes));
  auto feed = std::make_shared<DocumentFeed>(context, std::move(source), opened);
  feed->next();
  return feed;
}

DocumentFeed::DocumentFeed(ServerContext& context, DocumentSource source, const Opened& opened)
    : context_(context.shared_from_this()), source_(std::move(source)), opened_(opened) {
  // Nothing to compare the bytes before with: a pipe's are read all the same.
  if (source_.is_file && opened_.resume_sha256.empty()) offset_ = opened_.resume_bytes;
}

void DocumentFeed::next() {
  if (!source_.handle) return;
  const auto offset = source_.is_file ? offset_ : source_wire::kNextBytes;
  if (offset_ < opened_.resume_bytes) {
    source_.handle->digest(
        offset, opened_.resume_bytes - offset_,
        [self = shared_from_this()](const SourceReader::Answer& answer) { self->check(answer); });
  } else {
    source_.handle->read(
        offset, [self = shared_from_this()](SourceReader::Answer answer) { self->take(std::move(answer)); });
  }
}

/// Too many descriptors of this user or of the machine are open at the moment.
void DocumentFeed::next_later() {
  const auto timer = std::make_shared<asio::steady_timer>(context_->io, kPause);
  timer->async_wait([self = shared_from_this(), timer](const boost::system::error_code& cancelled) {
    if (!cancelled) self->next();
  });
}

/// False: it is stopped, it failed, or it tries again later.
bool DocumentFeed::can_take(const SourceReader::Answer& answer) {
  if (!source_.handle) return false;
  if (answer.failed()) {
    fail("it could not be read: " + answer.why() + "; check the file");
    return false;
  }
  if (answer.reply.outcome != source_wire::Outcome::kTooMany) return true;
  next_later();
  return false;
}

void DocumentFeed::take(SourceReader::Answer answer) {
  if (!can_take(answer)) return;
  if (answer.data.empty()) return end();
  offset_ += answer.data.size();
  append(std::move(answer.data));
}

/// Of bytes that were read before the document was resumed.
void DocumentFeed::check(const SourceReader::Answer& answer) {
  if (!can_take(answer)) return;
  if (answer.reply.processed == 0) return fail(too_few_bytes(opened_.resume_bytes));
  offset_ += answer.reply.processed;
  const auto digest = std::as_bytes(std::span(answer.data));
  if (offset_ == opened_.resume_bytes && !opened_.resume_sha256.empty() &&
      !std::ranges::equal(digest, opened_.resume_sha256)) {
    return fail(other_bytes(offset_));
  }
  next();
}

void DocumentFeed::append(std::string bytes) {
  try {
    context_->engine.append(opened_.id, std::move(bytes), [self = shared_from_this()] {
      asio::post(self->context_->io, [self] { self->next(); });
    });
  } catch (const Error&) {
    stop();  // the document failed or was cancelled; its listener receives the reason
  }
}

void DocumentFeed::end() {
  stop();
  complete_ = true;
  try {
    context_->engine.end(opened_.id);
  } catch (const Error&) {
    // As above.
  }
}

void DocumentFeed::fail(const std::string& reason) {
  stop();
  context_->engine.cancel(opened_.id, Error(ErrorCode::kSource, "document " + opened_.id + ": " + reason));
}

}  // namespace unroll
