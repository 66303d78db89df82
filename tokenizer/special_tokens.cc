#include "tokenizer/special_tokens.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/strict_json.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kEndOfText = "<|endoftext|>";
/// Names of tokens that end texts, answers or messages in the supported families.
constexpr std::array<std::string_view, 6> kKnownEnds{
    kEndOfText, "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "</s>", "<eos>"};

/// Returns an object, empty if there is no such file.
json read_object(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return json::object();
  try {
    auto result = parse_strict_json(std::string(std::istreambuf_iterator<char>(in), {}), {.depth = 64});
    if (!result.is_object()) throw JsonError("it is not an object");
    return result;
  } catch (const JsonError& error) {
    throw std::runtime_error(file.string() + ": " + error.what() + "; fetch it again");
  }
}

/// A token by name; the name may be in an object.
std::optional<std::int32_t> named(const json& config, const char* key, const ControlTokens& control) {
  if (!config.contains(key)) return std::nullopt;
  const json& value = config[key];
  const json& name = value.is_object() && value.contains("content") ? value["content"] : value;
  if (!name.is_string()) return std::nullopt;
  const auto found = control.find(name.get_ref<const std::string&>());
  return found == control.end() ? std::nullopt : std::optional(found->second);
}

/// Tokens by number: one number, or an array.
std::vector<std::int32_t> numbered(const json& config, const char* key, const ControlTokens& control) {
  std::vector<std::int32_t> ids;
  if (!config.contains(key)) return ids;
  const json& value = config[key];
  for (const json& id : value.is_array() ? value : json::array({value})) {
    for (const auto& [name, known] : control) {
      if (id.is_number_integer() && id == known) ids.push_back(known);
    }
  }
  return ids;
}

}  // namespace

void SpecialTokens::add_end(std::int32_t id) {
  const auto place = std::ranges::lower_bound(ends, id);
  if (place == ends.end() || *place != id) ends.insert(place, id);
}

std::int32_t SpecialTokens::first_input() const {
  if (begin) return *begin;
  if (!ends.empty()) return ends.front();
  throw std::runtime_error(
      "no token begins or ends a text; name bos_token or eos_token in tokenizer_config.json beside it");
}

void add_known_ends(const ControlTokens& control, SpecialTokens& special) {
  for (const auto name : kKnownEnds) {
    if (const auto found = control.find(name); found != control.end()) special.add_end(found->second);
  }
  // Of several ends, the one of whole texts precedes a text without BOS.
  if (const auto end = control.find(kEndOfText); !special.begin && end != control.end())
    special.begin = end->second;
}

SpecialTokens special_tokens_of_folder(const fs::path& folder, const ControlTokens& control) {
  SpecialTokens special;
  const json tokenizer = read_object(folder / "tokenizer_config.json");
  const json model = read_object(folder / "config.json");
  special.begin = named(tokenizer, "bos_token", control);
  if (!special.begin && !tokenizer.contains("bos_token")) {
    const auto ids = numbered(model, "bos_token_id", control);
    if (!ids.empty()) special.begin = ids.front();
  }
  if (const auto end = named(tokenizer, "eos_token", control)) special.add_end(*end);
  for (const json& config : {model, read_object(folder / "generation_config.json")}) {
    for (const auto id : numbered(config, "eos_token_id", control)) special.add_end(id);
  }
  add_known_ends(control, special);
  return special;
}

}  // namespace unroll
