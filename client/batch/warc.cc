#include "client/batch/warc.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/ascii.h"
#include "client/cli/command_error.h"
#include "client/documents/open_document.h"

namespace unroll {
namespace {

constexpr std::size_t kMostHeadBytes = std::size_t{1} << 20;

void add_field(std::string_view line, WarcFields& fields) {
  const auto colon = line.find(':');
  if (colon != std::string_view::npos)
    fields[ascii::lower(ascii::trimmed(line.substr(0, colon)))] = ascii::trimmed(line.substr(colon + 1));
}

std::string_view find(const WarcFields& fields, std::string_view name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string_view() : found->second;
}

/// "text/html; charset=utf-8" -> {"text/html", "utf-8"}.
std::pair<std::string, std::string> media_of(std::string_view type) {
  const auto media = ascii::lower(ascii::trimmed(type.substr(0, type.find(';'))));
  const auto at = ascii::lower(type).find("charset=");
  if (at == std::string::npos) return {media, ""};
  auto charset = type.substr(at + std::string_view("charset=").size());
  charset = ascii::trimmed(charset.substr(0, charset.find(';')));
  if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"')
    charset = charset.substr(1, charset.size() - 2);
  return {media, std::string(charset)};
}

bool is_page(const std::string& media) {
  return media == "text/html" || media == "application/xhtml+xml" || media == "text/plain";
}

/// The content of chunks (RFC 9112, section 7.1), also if the last ones are missing, as in a record that the
/// crawler cut; nullopt if it is not in chunks: crawlers may have joined them.
std::optional<std::string> joined_chunks(std::string_view body) {
  std::string content;
  for (bool first = true;; first = false) {
    const auto end = body.find("\r\n");
    if (end == std::string_view::npos) return first ? std::nullopt : std::optional(content);
    std::size_t size = 0;
    const auto [after, error] = std::from_chars(body.data(), body.data() + end, size, 16);
    if (error != std::errc() || (after != body.data() + end && *after != ';' && *after != ' '))
      return std::nullopt;
    body.remove_prefix(end + 2);
    if (size == 0) return content;
    if (size > body.size() && first) return std::nullopt;
    content += body.substr(0, size);
    body.remove_prefix(std::min(size, body.size()));
    if (!body.empty() && !body.starts_with("\r\n")) return std::nullopt;
    body.remove_prefix(std::min<std::size_t>(2, body.size()));
    if (body.empty()) return content;
  }
}

/// The text of a page. Throws CommandError that begins with `kName`.
constexpr std::string_view kName = "page";
std::string text_of(const WarcPage& page) {
  constexpr std::array<std::string_view, 5> kKnown = {"", "identity", "gzip", "x-gzip", "zstd"};
  if (std::ranges::find(kKnown, page.compression) == kKnown.end())
    throw CommandError(std::string(kName) + " is compressed in a way that is not known here");
  auto source = Source::of_text(std::string(kName), page.body);
  source.decompress();
  source.keep_text(CorpusRecords::kMostBytes);
  DocumentOptions options;
  options.encoding = page.charset;
  return convert_document(source, options).text;
}

}  // namespace

std::optional<WarcPage> parse_http_response(std::string_view message) {
  const auto take_line = [&] {
    const auto end = std::min(message.find('\n'), message.size());
    const auto line = ascii::trimmed(message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
    return line;
  };
  const auto status = take_line();
  const auto space = status.find(' ');
  if (!status.starts_with("HTTP/") || space == std::string_view::npos || status.substr(space + 1, 3) != "200")
    return std::nullopt;
  WarcFields fields;
  while (!message.empty()) {
    const auto line = take_line();
    if (line.empty()) break;
    add_field(line, fields);
  }
  WarcPage page;
  std::tie(page.media, page.charset) = media_of(find(fields, "content-type"));
  page.compression = ascii::lower(find(fields, "content-encoding"));
  const bool chunked = ascii::lower(find(fields, "transfer-encoding")) == "chunked";
  auto joined = chunked ? joined_chunks(message) : std::nullopt;
  page.body = joined ? *std::move(joined) : std::string(message);
  return page;
}

Warc::Warc(Source source, CorpusFields fields) : CorpusRecords(std::move(source), std::move(fields)) {}

/// Whether the file has `bytes` more bytes; then they are in the buffer.
bool Warc::has(std::size_t bytes) {
  while (buffer_.size() - position_ < bytes) {
    dropped_ += position_;
    buffer_.erase(0, std::exchange(position_, 0));
    if (!append(buffer_)) return false;
  }
  return true;
}

void Warc::drop(std::uint64_t bytes) {
  while (bytes > 0) {
    if (!has(1)) throw CommandError(name() + " ends within a record; it is truncated");
    const auto here = std::min<std::uint64_t>(bytes, buffer_.size() - position_);
    position_ += here;
    bytes -= here;
  }
}

/// Borrowed until the next call.
std::string_view Warc::take_line() {
  std::size_t end = std::string::npos;
  for (std::size_t size = 256; end == std::string::npos; size *= 2) {
    const bool more = has(size);
    end = buffer_.find('\n', position_);
    if (end == std::string::npos && (!more || size > kMostHeadBytes))
      throw CommandError(name() + " ends within the head of a record; it is truncated or damaged");
  }
  const auto begin = std::exchange(position_, end + 1);
  return ascii::trimmed(std::string_view(buffer_).substr(begin, end - begin));
}

/// To the body of the next record; false at the end of the file.
bool Warc::read_fields() {
  while (has(1) && (buffer_[position_] == '\r' || buffer_[position_] == '\n')) ++position_;
  if (!has(1)) return false;
  const auto begin = dropped_ + position_;
  if (!take_line().starts_with("WARC/"))
    throw CommandError(name() + ": no WARC record begins at byte " + std::to_string(begin) +
                       "; the file is damaged, or not WARC");
  fields_.clear();
  for (auto line = take_line(); !line.empty(); line = take_line()) add_field(line, fields_);
  return true;
}

std::string_view Warc::field(std::string_view name) const {
  return find(fields_, name);
}

/// To the next record that is a page.
bool Warc::advance() {
  while (read_fields()) {
    std::uint64_t length = 0;
    const auto text = field("content-length");
    const auto* const end = text.data() + text.size();
    if (const auto [after, error] = std::from_chars(text.data(), end, length);
        error != std::errc() || after != end || text.empty())
      throw CommandError(name() + ": a record before byte " + std::to_string(dropped_ + position_) +
                         " has no valid Content-Length; the file is damaged");
    const auto type = ascii::lower(field("warc-type"));
    const bool response = type == "response" && media_of(field("content-type")).first == "application/http";
    WarcPage page;
    std::tie(page.media, page.charset) = media_of(field("content-type"));
    const bool wanted = type == "conversion" ? page.media == "text/plain"
                                             : response || (type == "resource" && is_page(page.media));
    if (!wanted || length > kMostBytes) {
      drop(length);
      if (!wanted) continue;
      page_.reset();
      return true;
    }
    if (!has(length)) throw CommandError(name() + " ends within a record; it is truncated");
    const auto body = std::string_view(buffer_).substr(position_, length);
    position_ += length;
    if (response) {
      auto sent = parse_http_response(body);
      if (!sent || !is_page(sent->media)) continue;
      page = *std::move(sent);
    } else {
      page.body = body;
    }
    page_ = std::move(page);
    return true;
  }
  return false;
}

void Warc::read(CorpusRecord& record) {
  auto id = field(fields().id.empty() ? "warc-target-uri" : ascii::lower(fields().id));
  if (id.starts_with('<') && id.ends_with('>')) id = id.substr(1, id.size() - 2);
  if (!id.empty()) record.id = id;
  if (!page_) {
    record.problem = too_long();
  } else if (ascii::lower(field("warc-type")) == "conversion") {
    record.text = std::move(page_->body);
  } else {
    try {
      record.text = text_of(*page_);
    } catch (const CommandError& error) {
      const std::string what = error.what();
      record.problem = what.starts_with(kName) ? what.substr(kName.size() + 1) : what;
    }
  }
}

}  // namespace unroll
