// The pages of a WARC file (ISO 28500), as crawlers write them: conversions (WET), and successful responses
// and resources that are HTML or plain text. HTML is converted as docs/documents.md says. Other records are
// skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "client/batch/corpus_records.h"

namespace unroll {

/// Header fields by name in lower case.
using WarcFields = std::map<std::string, std::string, std::less<>>;

/// A page as a server sent it.
struct WarcPage {
  std::string media;        ///< "text/html", in lower case.
  std::string charset;      ///< As declared; may be empty.
  std::string compression;  ///< Content-Encoding; may be empty.
  std::string body;
};

/// An HTTP response with status 200; nullopt if it is something else.
std::optional<WarcPage> parse_http_response(std::string_view message);

class Warc final : public CorpusRecords {
 public:
  Warc(Source source, CorpusFields fields);

 private:
  bool advance() override;
  void read(CorpusRecord& record) override;

  bool has(std::size_t bytes);
  void drop(std::uint64_t bytes);
  std::string_view take_line();
  bool read_fields();
  std::string_view field(std::string_view name) const;

  std::string buffer_;  ///< Bytes that were read, from position_ on not yet used.
  std::size_t position_ = 0;
  std::uint64_t dropped_ = 0;     ///< Bytes of the file before the buffer.
  WarcFields fields_;             ///< Of the current record.
  std::optional<WarcPage> page_;  ///< Of the current record; nullopt: it is too long.
};

}  // namespace unroll
