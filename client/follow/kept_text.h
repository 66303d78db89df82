// The last bytes of a followed document, and the place up to which its source was read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace unroll {

/// The engine continues a document at its last commit and wants the same bytes from there on, but the log may
/// be rotated away by then. So each byte is kept here before the engine gets it, and read from here again.
/// Kept in a file that only its owner may read; survives a kill of the process. Thread-safe.
class KeptText {
 public:
  /// Reads the file if there is one; what was cut off at its end is dropped. Throws CommandError.
  explicit KeptText(std::filesystem::path file);

  /// Appends bytes of the document. `place`: of the source, after them. Throws CommandError.
  void add(std::string_view bytes, nlohmann::json place);
  /// Bytes [begin, end) of the document; empty if not all of them are kept.
  std::string text(std::uint64_t begin, std::uint64_t end) const;
  std::uint64_t begin() const;
  std::uint64_t end() const;
  nlohmann::json place() const;  ///< Null before the first add().

  /// A new document begins with the line of the old one in which byte `offset` is, if it is kept; else with
  /// the first byte that is kept, or the next one.
  void begin_document_at(std::uint64_t offset);

 private:
  void load();
  void drop_old();
  void write_anew();
  [[noreturn]] void fail(int error) const;

  const std::filesystem::path path_;
  mutable std::mutex mutex_;
  UniqueFd file_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t begin_ = 0;  ///< Of bytes_, in the document.
  std::string bytes_;
  nlohmann::json place_;
};

}  // namespace unroll
