// The tokens that begin and end a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace unroll {

struct SpecialTokens {
  std::optional<std::int32_t> begin;  ///< BOS
  std::vector<std::int32_t> ends;     ///< In rising order.

  /// Adds an end unless it is already there.
  void add_end(std::int32_t id);
  /// The token from which a document's first token is predicted. Throws std::runtime_error if there is
  /// neither.
  std::int32_t first_input() const;
};

/// Control tokens by name.
using ControlTokens = std::map<std::string, std::int32_t, std::less<>>;

/// Adds the ends with known names.
void add_known_ends(const ControlTokens& control, SpecialTokens& special);

/// Reads the special tokens from tokenizer_config.json, generation_config.json and config.json in the folder,
/// if they exist. Throws std::runtime_error that names the file.
SpecialTokens special_tokens_of_folder(const std::filesystem::path& folder, const ControlTokens& control);

}  // namespace unroll
