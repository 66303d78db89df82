// Abbreviations after whose full stop a sentence usually goes on, and words that often begin one, by
// language.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace unroll::builtin {

enum class Abbreviation {
  kNone,
  kMaybe,  ///< The sentence may end there: "U.S.", "etc.", an initial.
  kAlways  ///< A word follows: "Mr.", "cf."
};

/// The lists of one language. Immutable.
class Abbreviations {
 public:
  /// `language`: of ISO 639-1. The lists of all languages apply together if it is empty, or has none here.
  /// ICU's lists of suppressed sentence breaks (CLDR) are added.
  explicit Abbreviations(std::string_view language = {});

  /// `text`: the last bytes of a sentence, up to a full stop and what closes after it.
  Abbreviation at_end(std::string_view text) const;
  /// Whether a number belongs to the abbreviation that ends `text`: "No. 5", "p. 12", "Jan. 5".
  bool precedes_number(std::string_view text) const;
  /// Hardly ever part of a name.
  bool often_begins_sentence(std::string_view word) const { return beginnings_.contains(word); }
  /// Whether the number that ends `text` is an ordinal if `next` is the word after it: "bis 3. Mai".
  bool is_ordinal_before(std::string_view text, std::string_view next) const;
  /// Whether a full stop after a number may make it an ordinal before a capital.
  bool has_ordinals() const { return ordinals_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Words = std::unordered_set<std::string, Hash, std::equal_to<>>;

  void add_suppressions(const std::string& language);
  bool is_ordinal(std::string_view text, std::string_view word) const;

  Words always_, maybe_, before_number_, beginnings_, articles_, after_ordinals_;
  bool ordinals_ = false;
};

}  // namespace unroll::builtin
