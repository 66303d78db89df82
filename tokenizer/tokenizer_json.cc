#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/strict_json.h"
#include "tokenizer/written_vocabulary.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uintmax_t kMaxFileBytes = 256U << 20U;  // the largest known has 33 MB
constexpr JsonLimits kLimits{.depth = 16, .values = std::size_t{1} << 24U};
constexpr std::size_t kMaxCuts = 16;

[[noreturn]] void refuse(const std::string& problem) {
  throw std::runtime_error(problem);
}

[[noreturn]] void not_supported(const std::string& what) {
  refuse(what + " is not supported; use a model of the Llama, Mistral, Qwen2 or Qwen3 family");
}

/// A member; null if there is none.
const json& member(const json& object, const char* key) {
  static const json none;
  if (!object.is_object()) refuse("is not a tokenizer.json (an object is missing)");
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

const std::string& text(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_string()) refuse("lacks the text \"" + std::string(key) + "\"");
  return value.get_ref<const std::string&>();
}

bool truth(const json& object, const char* key, bool otherwise) {
  const json& value = member(object, key);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::int64_t number(const json& value) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX))
    refuse("has the token number " + shown(value) + ", which is none");
  return value.get<std::int64_t>();
}

/// Whether the normalizer is NFC; false if there is none.
bool is_nfc(const json& normalizer) {
  if (normalizer.is_null()) return false;
  const auto& type = text(normalizer, "type");
  if (type == "NFC") return true;
  if (type != "Sequence") not_supported("the normalizer " + shown(type));
  bool nfc = false;
  for (const json& part : member(normalizer, "normalizers")) nfc |= is_nfc(part);
  return nfc;
}

Cut split(const json& pre_tokenizer) {
  const auto& behavior = text(pre_tokenizer, "behavior");
  // Otherwise unmatched text would be removed; patterns of this form match everything.
  const bool keeps = behavior == "Removed" && truth(pre_tokenizer, "invert", false);
  if (behavior != "Isolated" && !keeps) not_supported("a Split with the behavior " + shown(behavior));
  const json& pattern = member(pre_tokenizer, "pattern");
  if (!member(pattern, "Regex").is_null()) return {Cut::kPattern, text(pattern, "Regex")};
  return {Cut::kPattern, text(pattern, "String"), true};
}

/// Appends the pre-tokenizer's cuts; returns true if it ends with ByteLevel.
bool add_cuts(const json& pre_tokenizer, std::vector<Cut>& cuts) {
  if (pre_tokenizer.is_null()) return false;
  const auto& type = text(pre_tokenizer, "type");
  bool ends = false;
  if (type == "Sequence") {
    for (const json& part : member(pre_tokenizer, "pretokenizers")) {
      if (ends) not_supported("a pre-tokenizer after ByteLevel");
      ends = add_cuts(part, cuts);
    }
  } else if (type == "ByteLevel") {
    if (truth(pre_tokenizer, "add_prefix_space", true)) not_supported("ByteLevel with add_prefix_space");
    if (truth(pre_tokenizer, "use_regex", true)) cuts.push_back({Cut::kPattern, std::string(kGpt2Pattern)});
    ends = true;
  } else if (type == "Split") {
    cuts.push_back(split(pre_tokenizer));
  } else if (type == "Digits") {
    cuts.push_back({truth(pre_tokenizer, "individual_digits", false) ? Cut::kDigit : Cut::kDigits});
  } else {
    not_supported("the pre-tokenizer " + shown(type));
  }
  if (cuts.size() > kMaxCuts) refuse("has more than " + std::to_string(kMaxCuts) + " pre-tokenizers");
  return ends;
}

void check_model(const json& model) {
  const json& type = member(model, "type");
  if (!type.is_null() && type != "BPE") not_supported("a vocabulary of the type " + shown(type));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = member(model, key);
    if (!value.is_null() && value != "") not_supported("the model's " + std::string(key));
  }
  if (!member(model, "dropout").is_null() && member(model, "dropout") != 0)
    not_supported("the model's dropout");
  if (truth(model, "byte_fallback", false))
    refuse("is a SentencePiece vocabulary in another form; put its tokenizer.model into the folder instead");
}

void add_tokens(const json& root, WrittenVocabulary& vocabulary) {
  const json& tokens = member(member(root, "model"), "vocab");
  if (!tokens.is_object()) refuse("lacks the object \"vocab\"");
  for (const auto& [written, id] : tokens.items()) vocabulary.add_token(number(id), written);
  for (const json& token : member(root, "added_tokens")) {
    const auto id = number(member(token, "id"));
    if (truth(token, "special", false)) {
      vocabulary.add_control(id, text(token, "content"));
    } else {
      vocabulary.add_plain(id, text(token, "content"));
    }
  }
}

void add_merges(const json& merges, WrittenVocabulary& vocabulary) {
  if (!merges.is_array()) refuse("lacks the array \"merges\"");
  for (const json& merge : merges) {
    if (merge.is_string()) {
      vocabulary.add_merge(merge.get_ref<const std::string&>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      vocabulary.add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    } else {
      refuse("has a merge that is not two tokens");
    }
  }
}

std::string contents(const fs::path& file) {
  if (fs::file_size(file) > kMaxFileBytes)
    refuse("is larger than " + std::to_string(kMaxFileBytes >> 20U) + " MiB");
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad() || !in.is_open()) refuse("cannot be read");
  return bytes;
}

BpeDescription parse(const json& root, const fs::path& folder) {
  const json& model = member(root, "model");
  check_model(model);
  WrittenVocabulary vocabulary;
  std::vector<Cut> cuts;
  if (!add_cuts(member(root, "pre_tokenizer"), cuts))
    not_supported("a vocabulary that is not byte-level BPE");
  add_tokens(root, vocabulary);
  add_merges(member(model, "merges"), vocabulary);
  const bool nfc = is_nfc(member(root, "normalizer"));
  std::optional<std::int32_t> unknown;
  if (member(model, "unk_token").is_string()) {
    unknown = vocabulary.id(text(model, "unk_token"));
    if (*unknown < 0) refuse("lacks the token that it calls unknown, " + shown(member(model, "unk_token")));
  }
  auto description = vocabulary.take();
  description.cuts = std::move(cuts);
  description.nfc = nfc;
  description.whole_words = truth(model, "ignore_merges", false);
  description.unknown = unknown;
  description.special = special_tokens_of_folder(folder, vocabulary.control());
  return description;
}

}  // namespace

std::shared_ptr<const Vocabulary> load_tokenizer_json(const fs::path& file) {
  try {
    const json root = parse_strict_json(contents(file), kLimits);
    return std::make_shared<const BpeVocabulary>(parse(root, file.parent_path()));
  } catch (const JsonError& error) {
    throw std::runtime_error(file.string() + ": " + error.what() + "; fetch it again");
  } catch (const std::exception& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

}  // namespace unroll
