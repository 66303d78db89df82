// A document's text with its sections, and where each part of it is in the source.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

/// Begins at `start` (bytes of the text) and ends where the next begins.
struct Section {
  std::string title;
  int level = 1;
  std::uint64_t start = 0;
};

/// Bytes [text, text + length) of the text come from [source, source + source_length) of a member, evenly.
struct SourceRun {
  std::uint64_t text = 0, length = 0;
  std::uint64_t source = 0, source_length = 0;
  std::uint64_t member = 0;
};

class TextMap {
 public:
  struct Place {
    std::string_view member;                  ///< Of an archive, or a page; empty: the file itself.
    std::optional<std::uint64_t> start, end;  ///< Bytes of the member, after decompression.
  };

  std::vector<std::string> members;
  std::vector<Section> sections;
  std::vector<SourceRun> runs;  ///< In order of `text`; what is between them was inserted.

  bool empty() const { return sections.empty() && runs.empty(); }
  const Section* section_at(std::uint64_t offset) const;
  std::optional<Place> place_of(std::uint64_t start, std::uint64_t end) const;
  /// Removes bytes [begin, end) of the text. Sections that begin there are removed, too.
  void cut(std::uint64_t begin, std::uint64_t end);
  /// The text has only `size` bytes.
  void truncate(std::uint64_t size);
  /// Appends a run, or extends the last one if it goes on evenly.
  void append(const SourceRun& run);
};

/// What unroll-extract makes of a document.
struct DocumentText {
  std::string format;              ///< For people: "EPUB".
  std::vector<std::string> notes;  ///< For people: what was guessed, dropped and joined.
  std::string text;                ///< UTF-8.
  TextMap map;
};

/// The form in which unroll-extract hands it over: a line of JSON, the text, the runs.
std::string encode(const DocumentText& document);
/// Checks everything: the reader of a hostile file is not trusted. Throws std::runtime_error.
DocumentText decode_document_text(std::string_view bytes);

}  // namespace unroll
