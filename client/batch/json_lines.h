// JSON Lines: one JSON object on each line. Blank lines do not count.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "client/batch/corpus_records.h"

namespace unroll {

class JsonLines final : public CorpusRecords {
 public:
  JsonLines(Source source, CorpusFields fields);

 private:
  bool advance() override;
  void read(CorpusRecord& record) override;
  void skip_line();

  std::string buffer_;        ///< Bytes that were read and not yet split.
  std::size_t position_ = 0;  ///< Of the next line in buffer_.
  std::string_view line_;     ///< Borrowed from buffer_.
  bool too_long_ = false;     ///< The line exceeds kMostBytes; line_ is not set.
};

}  // namespace unroll
