// Views of the plugin words: a row for each word, of one document or of many items.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/views/view.h"

namespace unroll {

/// Formats: text, json, ndjson, csv, tsv; parquet: csv, of which a program makes the file. Bits instead of
/// the plugin's nats.
class WordView : public View {
 public:
  /// The rows and figures that follow are of this item: the number of a line, or 1.
  virtual void begin_item(std::uint64_t item) = 0;
};

/// `items`: there may be several items, so each row has its item's number.
std::unique_ptr<WordView> make_word_view(const std::string& format, bool items, ResultWriter& writer);

}  // namespace unroll
