#include "daemon/document_feed.h"

#include <algorithm>
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
                                                  DocumentId id, std::uint64_t offset) {
  if (source.is_file && offset > source.bytes.value_or(0)) {
    throw Error(ErrorCode::kSource, "document " + id + ": the file is shorter than what was read before, " +
                                        std::to_string(offset) + " bytes; send the same file");
  }
  auto feed = std::make_shared<DocumentFeed>(context, std::move(source), std::move(id), offset);
  feed->next();
  return feed;
}

DocumentFeed::DocumentFeed(ServerContext& context, DocumentSource source, DocumentId id, std::uint64_t offset)
    : context_(context.shared_from_this()), source_(std::move(source)), id_(std::move(id)) {
  (source_.is_file ? offset_ : skip_) = offset;
}

void DocumentFeed::next() {
  if (!source_.handle) return;
  source_.handle->read(
      source_.is_file ? offset_ : source_wire::kNextBytes,
      [self = shared_from_this()](SourceReader::Answer answer) { self->take(std::move(answer)); });
}

/// Too many descriptors of this user or of the machine are open at the moment.
void DocumentFeed::next_later() {
  const auto timer = std::make_shared<asio::steady_timer>(context_->io, kPause);
  timer->async_wait([self = shared_from_this(), timer](const boost::system::error_code& cancelled) {
    if (!cancelled) self->next();
  });
}

void DocumentFeed::take(SourceReader::Answer answer) {
  if (!source_.handle) return;
  if (answer.failed()) return fail(answer.why());
  if (answer.reply.outcome == source_wire::Outcome::kTooMany) return next_later();
  if (answer.data.empty()) return end();
  offset_ += answer.data.size();
  const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, answer.data.size()));
  skip_ -= skipped;
  answer.data.erase(0, skipped);
  if (answer.data.empty()) return next();
  append(std::move(answer.data));
}

void DocumentFeed::append(std::string bytes) {
  try {
    context_->engine.append(id_, std::move(bytes), [self = shared_from_this()] {
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
    context_->engine.end(id_);
  } catch (const Error&) {
    // As above.
  }
}

void DocumentFeed::fail(const std::string& reason) {
  stop();
  context_->engine.cancel(id_, Error(ErrorCode::kSource, "document " + id_ + " could not be read: " + reason +
                                                             "; check the file"));
}

}  // namespace unroll
