// The text of a log that was read, for those who show its lines.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "client/sources/source.h"

namespace unroll {

class ReadText {
 public:
  virtual ~ReadText() = default;
  /// Bytes [begin, end) of the text; fewer if they are gone.
  virtual std::string text(std::uint64_t begin, std::uint64_t end) const = 0;
  /// Bytes before this one are not needed.
  virtual void forget(std::uint64_t /*before*/) {}
};

/// The text of a source for which keep_text() was called.
class SourceText : public ReadText {
 public:
  explicit SourceText(const Source& source) : source_(source) {}
  std::string text(std::uint64_t begin, std::uint64_t end) const override { return source_.text(begin, end); }

 private:
  const Source& source_;
};

/// What was sent to be read, until it is forgotten: a log without end can be shown while it is read.
/// Thread-safe.
class RecentText : public ReadText {
 public:
  void add(std::string_view bytes);
  std::string text(std::uint64_t begin, std::uint64_t end) const override;
  void forget(std::uint64_t before) override;

 private:
  mutable std::mutex mutex_;
  std::string text_;
  std::uint64_t begin_ = 0;      ///< Of text_.
  std::uint64_t forgotten_ = 0;  ///< Bytes before this one are not needed.
};

}  // namespace unroll
