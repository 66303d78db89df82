// The text of a log: UTF-8, as a terminal shows it. Decodes UTF-16 and other encodings, removes escape
// sequences and what carriage returns overwrite, and cuts lines that are too long to be read.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "client/sources/pump.h"
#include "client/sources/read_text.h"
#include "client/sources/source.h"

namespace unroll {

/// Where in the original bytes a place of the text is. Thread-safe; grows by 32 bytes for each line that
/// differs from its original.
class TextPlaces {
 public:
  /// The text's byte `text` is the original's byte `original`; from there on they go in step.
  void add(std::uint64_t text, std::uint64_t original);
  std::uint64_t original(std::uint64_t text) const;

 private:
  struct Place {
    std::uint64_t text = 0, original = 0;
  };
  mutable std::mutex mutex_;
  std::vector<Place> places_ = {{}};
};

/// Converts the bytes of one log. Not thread-safe, except for places().
class LogText {
 public:
  /// `encoding`: a name that iconv knows; empty: by the byte order mark, else UTF-8, and each line that is
  /// not valid UTF-8 is taken for Windows-1252. Throws CommandError if the name is unknown.
  /// `keeps_places`: false for a log without end; places() then knows nothing.
  explicit LogText(const std::string& encoding, bool keeps_places = true);
  ~LogText();

  /// Takes the next bytes; appends the text of the lines that they complete.
  void take(std::string_view bytes, std::string& text);
  /// The log has ended: appends the rest.
  void finish(std::string& text);
  const TextPlaces& places() const { return places_; }
  /// Original bytes of the line that is not complete.
  std::uint64_t open_bytes() const { return taken_ - line_begin_ + head_.size(); }
  std::uint64_t cut_lines() const { return cut_lines_; }  ///< Lines that were cut.
  std::uint64_t first_cut() const { return first_cut_; }  ///< The number of the first of them.

 private:
  class Decoder;
  void detect();
  void take_units(std::string_view bytes, std::string& text);
  void end_line(std::string_view newline, std::string& text);
  void append_converted(std::string_view newline, std::string& text);
  std::string decoded(std::string_view line);

  bool guesses_;  ///< No encoding was given.
  bool keeps_places_;
  std::string head_;  ///< The first bytes, until the encoding is known.
  bool detected_ = false;
  std::unique_ptr<Decoder> decoder_;  ///< None for UTF-8.
  std::size_t unit_ = 1;              ///< Bytes of a newline.
  bool big_endian_ = false;
  std::string line_;              ///< The original bytes of the line so far.
  std::uint64_t line_begin_ = 0;  ///< Its offset.
  std::uint64_t taken_ = 0;       ///< Original bytes so far.
  std::uint64_t made_ = 0;        ///< Bytes of text so far.
  bool skips_ = false;            ///< The line is longer than what is kept of it.
  bool in_step_ = true;           ///< The text's next byte is the original's.
  std::uint64_t lines_ = 0, cut_lines_ = 0, first_cut_ = 0;
  TextPlaces places_;
};

/// Reads a source through a LogText, which stays valid as long as `text` is kept.
class LogTextPump : public Pump {
 public:
  /// `recent`: gets what is read; may be null.
  LogTextPump(Source source, std::shared_ptr<LogText> text, std::shared_ptr<RecentText> recent);
  std::uint64_t begin(std::uint64_t) override { return source_.begin(0); }  // not in the middle
  void run(int pipe, int stop) override;

 private:
  Source source_;
  std::shared_ptr<LogText> text_;
  std::shared_ptr<RecentText> recent_;
};

/// One line as a terminal shows it, decoded as LogText does if no encoding is given.
std::string log_line_text(std::string_view line);

/// The encoding of the bytes that a log begins with, if it is UTF-16 or UTF-32; else empty.
std::string wide_encoding(std::string_view head);

/// The source, read through a LogText. If its lines were cut, that can be told after reading. `recent`: gets
/// what is read; may be null.
Source log_source(Source source, std::shared_ptr<LogText> text, std::shared_ptr<RecentText> recent = nullptr);

}  // namespace unroll
