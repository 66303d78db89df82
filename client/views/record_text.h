// What a program wrote in the line that an output of the plugin anomaly is about.
#pragma once

#include <algorithm>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "client/views/view.h"
#include "plugins/builtin/records/record.h"

namespace unroll {

/// `text`: has text(begin, end), with the document's bytes.
template <class Text>
records::Carried record_text(const Text& text, const nlohmann::json& line) {
  // Parts, with what their carrier wrote around them, and lines of another stream between them.
  constexpr std::uint64_t kMostBytes = 4 * records::kMostRecordBytes;
  const std::uint64_t start = whole(line, "start"), end = whole(line, "end");
  const std::uint64_t from = line.contains("from") ? whole(line, "from") : start;
  const std::uint64_t begin = from < start && end - from <= kMostBytes ? from : start;
  return records::carried_record(text.text(begin, std::min(end, begin + kMostBytes)));
}

/// Where in such a text the byte `odd` of the document is, if nothing was taken off but what is before the
/// text.
inline std::size_t place_in_record(const nlohmann::json& line, const records::Carried& carried,
                                   std::uint64_t odd) {
  const std::uint64_t start = whole(line, "start"), size = whole(line, "end") - start;
  const std::uint64_t before = size - std::min<std::uint64_t>(size, carried.text.size());
  return static_cast<std::size_t>(odd > start + before ? odd - start - before : 0);
}

}  // namespace unroll
