#include "client/documents/document_text.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/strict_json.h"
#include "client/documents/kind.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::size_t kMostHeadBytes = std::size_t{64} << 20;

/// The source offset of byte `at` of the run's text.
std::uint64_t source_of(const SourceRun& run, std::uint64_t at) {
  const std::uint64_t into = at - run.text;
  return run.source + (run.length == run.source_length ? into : into * run.source_length / run.length);
}

bool same_ratio(const SourceRun& a, const SourceRun& b) {
  return a.length * b.source_length == b.length * a.source_length;
}

[[noreturn]] void refuse(const char* why) {
  throw std::runtime_error(std::string("its reader returned an invalid result (") + why + ")");
}

void check(const DocumentText& document) {
  const std::uint64_t size = document.text.size();
  std::uint64_t at = 0;
  for (const Section& section : document.map.sections) {
    if (section.start < at || section.start > size) refuse("sections");
    at = section.start;
  }
  at = 0;
  for (const SourceRun& run : document.map.runs) {
    if (run.text < at || run.length == 0 || run.length > size || run.text > size - run.length ||
        run.member >= document.map.members.size() || run.source_length > (std::uint64_t{1} << 32) ||
        run.source > (std::uint64_t{1} << 60))
      refuse("map");
    at = run.text + run.length;
  }
}

}  // namespace

const Section* TextMap::section_at(std::uint64_t offset) const {
  const auto after = std::ranges::upper_bound(sections, offset, {}, &Section::start);
  return after == sections.begin() ? nullptr : &*(after - 1);
}

std::optional<TextMap::Place> TextMap::place_of(std::uint64_t start, std::uint64_t end) const {
  const auto past = [](const SourceRun& run) { return run.text + run.length; };
  auto first = std::ranges::upper_bound(runs, start, {}, past);
  if (first == runs.end() || first->text >= end) return std::nullopt;
  const auto last = std::ranges::lower_bound(runs, end, {}, &SourceRun::text) - 1;
  Place place{members.at(first->member), std::nullopt, std::nullopt};
  if (first->source_length == 0) return place;  // a page of a PDF
  place.start = source_of(*first, std::max(start, first->text));
  if (last->member == first->member) place.end = source_of(*last, std::min(end, last->text + last->length));
  return place;
}

void TextMap::cut(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t cut = end - begin;
  const auto moved = [&](std::uint64_t at) { return at <= begin ? at : at >= end ? at - cut : begin; };
  std::erase_if(sections,
                [&](const Section& section) { return section.start >= begin && section.start < end; });
  for (Section& section : sections) section.start = moved(section.start);
  std::vector<SourceRun> kept;
  for (const SourceRun& run : runs) {
    const std::uint64_t run_end = run.text + run.length;
    const auto keep = [&](std::uint64_t from, std::uint64_t to) {
      if (from >= to) return;
      const std::uint64_t source = source_of(run, from);
      kept.push_back({moved(from), to - from, source, source_of(run, to) - source, run.member});
    };
    keep(run.text, std::min(run_end, begin));
    keep(std::max(run.text, end), run_end);
  }
  runs = std::move(kept);
}

void TextMap::truncate(std::uint64_t size) {
  while (!runs.empty() && runs.back().text >= size) runs.pop_back();
  if (runs.empty() || runs.back().text + runs.back().length <= size) return;
  SourceRun& last = runs.back();
  last.source_length = source_of(last, size) - last.source;
  last.length = size - last.text;
}

void TextMap::append(const SourceRun& run) {
  if (run.length == 0) return;
  if (!runs.empty()) {
    SourceRun& last = runs.back();
    if (last.member == run.member && last.text + last.length == run.text &&
        last.source + last.source_length == run.source && same_ratio(last, run)) {
      last.length += run.length;
      last.source_length += run.source_length;
      return;
    }
  }
  runs.push_back(run);
}

std::string encode(const DocumentText& document) {
  json sections = json::array();
  for (const Section& section : document.map.sections)
    sections.push_back({{"title", section.title}, {"level", section.level}, {"start", section.start}});
  const json head = {{"format", document.format},
                     {"notes", document.notes},
                     {"members", document.map.members},
                     {"sections", std::move(sections)},
                     {"text_bytes", document.text.size()}};
  std::string bytes = head.dump(-1, ' ', false, json::error_handler_t::replace) + "\n" + document.text;
  bytes.append(reinterpret_cast<const char*>(document.map.runs.data()),
               document.map.runs.size() * sizeof(SourceRun));
  return bytes;
}

DocumentText decode_document_text(std::string_view bytes) {
  const std::size_t line = bytes.find('\n');
  if (line == std::string_view::npos || line > kMostHeadBytes) refuse("no head");
  DocumentText document;
  std::uint64_t text_bytes = 0;
  try {
    const json head = parse_strict_json(bytes.substr(0, line), {});
    head.at("format").get_to(document.format);
    head.at("notes").get_to(document.notes);
    head.at("members").get_to(document.map.members);
    for (const json& section : head.at("sections")) {
      document.map.sections.push_back({section.at("title").get<std::string>(), section.at("level").get<int>(),
                                       section.at("start").get<std::uint64_t>()});
    }
    head.at("text_bytes").get_to(text_bytes);
  } catch (const std::exception&) {
    refuse("head");
  }
  bytes.remove_prefix(line + 1);
  if (text_bytes > bytes.size() || text_bytes > kMostTextBytes) refuse("text");
  document.text = bytes.substr(0, text_bytes);
  bytes.remove_prefix(text_bytes);
  if (bytes.size() % sizeof(SourceRun) != 0) refuse("map");
  document.map.runs.resize(bytes.size() / sizeof(SourceRun));
  if (!bytes.empty()) std::memcpy(document.map.runs.data(), bytes.data(), bytes.size());
  check(document);
  return document;
}

}  // namespace unroll
