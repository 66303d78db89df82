#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/strict_json.h"
#include "tokenizer/character_bpe.h"
#include "tokenizer/space_mark.h"
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

/// What a file does to a text before its words are merged.
struct Form {
  bool nfc = false;
  bool marks_spaces = false;  // as U+2581: SentencePiece's BPE; otherwise byte-level
  Spaces spaces;
  std::vector<Cut> cuts;
};

void read_normalizer(const json& normalizer, Form& form) {
  if (normalizer.is_null()) return;
  const auto& type = text(normalizer, "type");
  if (type == "Sequence") {
    for (const json& part : member(normalizer, "normalizers")) read_normalizer(part, form);
  } else if (type == "NFC") {
    form.nfc = true;
  } else if (type == "Prepend" && text(normalizer, "prepend") == kSpaceMark) {
    form.spaces.before_text = true;
  } else if (type == "Replace" && member(normalizer, "pattern") == json{{"String", " "}} &&
             text(normalizer, "content") == kSpaceMark) {
    form.marks_spaces = true;
  } else {
    not_supported("the normalizer " + shown(normalizer));
  }
}

/// The pre-tokenizer that marks spaces.
void read_metaspace(const json& metaspace, Form& form) {
  if (text(metaspace, "replacement") != kSpaceMark)
    not_supported("Metaspace with the replacement " + shown(member(metaspace, "replacement")));
  form.marks_spaces = true;
  form.spaces.begin_words = truth(metaspace, "split", true);
  form.spaces.before_text = form.spaces.unless_there =
      member(metaspace, "prepend_scheme") != "never" && truth(metaspace, "add_prefix_space", true);
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

Form read_form(const json& root) {
  Form form;
  read_normalizer(member(root, "normalizer"), form);
  const json& pre_tokenizer = member(root, "pre_tokenizer");
  const bool is_normalized = form.marks_spaces || form.spaces.before_text;
  if (is_normalized && !pre_tokenizer.is_null())
    not_supported("the normalizer " + shown(member(root, "normalizer")) + " with a pre-tokenizer");
  if (pre_tokenizer.is_object() && text(pre_tokenizer, "type") == "Metaspace")
    read_metaspace(pre_tokenizer, form);
  if (form.marks_spaces && form.nfc) not_supported("the normalizer NFC with spaces as U+2581");
  if (!form.marks_spaces && !add_cuts(pre_tokenizer, form.cuts))
    not_supported("a vocabulary that neither is byte-level BPE nor writes spaces as U+2581");
  return form;
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
}

/// Checks that a vocabulary of characters falls back to bytes, and that one of bytes does not.
void check_bytes(const json& model, bool marks_spaces) {
  if (marks_spaces != truth(model, "byte_fallback", false))
    not_supported(marks_spaces ? "a vocabulary of characters without byte_fallback"
                               : "byte_fallback in byte-level BPE");
  if (marks_spaces && truth(model, "ignore_merges", false))
    not_supported("ignore_merges in a vocabulary of characters");
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

/// The token of bytes that have none.
std::optional<std::int32_t> unknown_token(const json& model, const WrittenVocabulary& vocabulary) {
  const json& name = member(model, "unk_token");
  if (!name.is_string()) return std::nullopt;
  const auto id = vocabulary.id(name.get_ref<const std::string&>());
  if (id < 0) refuse("lacks the token that it calls unknown, " + shown(name));
  return id;
}

BpeDescription parse(const json& root, const fs::path& folder) {
  const json& model = member(root, "model");
  check_model(model);
  auto form = read_form(root);
  check_bytes(model, form.marks_spaces);
  WrittenVocabulary vocabulary(form.marks_spaces ? Writing::kSpaceMarks : Writing::kByteAlphabet);
  add_tokens(root, vocabulary);
  add_merges(member(model, "merges"), vocabulary);
  BpeDescription description;
  if (form.marks_spaces) {
    description = take_character_bpe(vocabulary, form.spaces);
  } else {
    description = vocabulary.take();
    description.cuts = std::move(form.cuts);
    description.nfc = form.nfc;
    description.whole_words = truth(model, "ignore_merges", false);
    description.unknown = unknown_token(model, vocabulary);
  }
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
