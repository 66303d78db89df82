// JSON Lines: one JSON object on each line. Blank lines do not count.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "client/batch/corpus_records.h"

namespace unroll {

class JsonLines : public CorpusRecords {
 public:
  JsonLines(Source source, CorpusFields fields);

 protected:
  void read(CorpusRecord& record) override;
  std::string_view line() const { return line_; }  ///< The current one, unless it is too long.
  bool is_too_long() const { return too_long_; }

 private:
  bool advance() override;
  void skip_line();

  std::string buffer_;        ///< Bytes that were read and not yet split.
  std::size_t position_ = 0;  ///< Of the next line in buffer_.
  std::string_view line_;     ///< Borrowed from buffer_.
  bool too_long_ = false;     ///< The line exceeds kMostBytes; line_ is not set.
};

}  // namespace unroll
