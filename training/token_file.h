// Prepared data: the tokens of many documents in one file, which is memory-mapped.
//
// The file, little-endian: "unrolltk", uint32 version, uint32 0; the tokens, uint16 each; the index (JSON:
// `source`, `vocabulary`, `tokens`, `hash` of the tokens, `documents` [[name, tokens] ...]); uint64 length of
// the index, uint64 XXH3 of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace unroll {

/// Borrows the tokens.
struct TokenDocument {
  std::string name;
  std::span<const std::uint16_t> tokens;
};

/// A file opened for reading. Copies share the map, which exists as long as the last of them.
class TokenFile {
 public:
  /// Checks the whole file. Throws std::runtime_error, which names the file, if it is not such a file,
  /// damaged, of another version or made with another vocabulary.
  TokenFile(const std::filesystem::path& file, const std::filesystem::path& vocabulary);
  const std::vector<TokenDocument>& documents() const { return documents_; }
  std::uint64_t tokens() const { return tokens_; }
  const std::string& source() const { return source_; }  ///< The folder or file that it was made from.
  const std::string& hash() const { return hash_; }      ///< Of the tokens.

 private:
  void read_index(const std::filesystem::path& file, const std::filesystem::path& vocabulary);

  std::shared_ptr<const void> map_;
  std::span<const char> bytes_;
  std::vector<TokenDocument> documents_;
  std::uint64_t tokens_ = 0;
  std::string source_, hash_;
};

/// Whether the file has the magic number of prepared tokens.
bool is_token_file(const std::filesystem::path& file);

struct PrepareProgress {
  std::uint64_t bytes = 0, total_bytes = 0, tokens = 0;
  std::size_t documents = 0, skipped = 0;  ///< Skipped: compressed files.
};

/// Tokenizes a file, or every regular file below a folder in order of path, to `out`, which is written
/// atomically. Uses constant memory. Throws std::runtime_error if there is nothing to read.
PrepareProgress prepare_tokens(const std::filesystem::path& source, const std::filesystem::path& vocabulary,
                               const std::filesystem::path& out,
                               const std::function<void(const PrepareProgress&)>& progress = {});

}  // namespace unroll
