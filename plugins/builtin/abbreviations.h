// Abbreviations after whose full stop a sentence usually goes on, in several languages.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace unroll::builtin {

enum class Abbreviation {
  kNone,
  kMaybe,  ///< The sentence may end there: "U.S.", "etc.", an initial.
  kAlways  ///< A word follows: "Mr.", "cf."
};

/// The word that ends `text`, without its full stop and what closes after it; with the dots within it.
inline std::string_view word_at_end(std::string_view text) {
  while (!text.empty() && std::string_view("\"')] ").find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  if (text.empty() || text.back() != '.') return {};
  text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && std::string_view(" \t\n([\"'/").find(text[begin - 1]) == std::string_view::npos)
    --begin;
  return text.substr(begin);
}

inline std::size_t letters_of(std::string_view word) {
  return static_cast<std::size_t>(
      std::ranges::count_if(word, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// "3" in "am 3. Oktober": an ordinal after an article or a preposition, in German and its relatives.
inline bool is_ordinal(std::string_view text, std::string_view word) {
  if (word.empty() || word.size() > 2 || word.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  text = text.substr(0, static_cast<std::size_t>(word.data() - text.data()));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const std::string_view before =
      text.substr(text.rfind(' ') == std::string_view::npos ? 0 : text.rfind(' ') + 1);
  static constexpr std::array<std::string_view, 19> kArticles = {
      "am",  "Am", "der", "Der", "die", "Die", "das", "Das",  "den", "dem",
      "des", "im", "Im",  "vom", "Vom", "zum", "Zum", "beim", "bis"};
  return std::ranges::find(kArticles, before) != kArticles.end();
}

/// `text`: the last bytes of a sentence, up to a full stop and what closes after it.
inline Abbreviation abbreviation_at_end(std::string_view text) {
  const std::string_view word = word_at_end(text);
  if (word.empty()) return Abbreviation::kNone;
  static constexpr std::array kAlways =
      std::to_array<std::string_view>({"Mr",
                                       "Mrs",
                                       "Ms",
                                       "Mx",
                                       "Messrs",
                                       "Dr",
                                       "Drs",
                                       "Prof",
                                       "St",
                                       "Ste",
                                       "Rev",
                                       "Gen",
                                       "Col",
                                       "Capt",
                                       "Cpt",
                                       "Lt",
                                       "Sgt",
                                       "Maj",
                                       "Adm",
                                       "Gov",
                                       "Sen",
                                       "Rep",
                                       "Pres",
                                       "Hon",
                                       "Mt",
                                       "vs",
                                       "cf",
                                       "Cf",
                                       "viz",
                                       "e.g",
                                       "i.e",
                                       "Fig",
                                       "fig",
                                       "Figs",
                                       "figs",
                                       "approx",
                                       "Hr",
                                       "Fr",
                                       "Frl",
                                       "Hrn",
                                       "Vgl",
                                       "vgl",
                                       "bzw",
                                       "ca",
                                       "Ca",
                                       "z.B",
                                       "d.h",
                                       "u.a",
                                       "s.o",
                                       "s.u",
                                       "sog",
                                       "Nr",
                                       "Bd",
                                       "Mme",
                                       "Mlle",
                                       "MM",
                                       "Sr",
                                       "Sra",
                                       "Srta",
                                       "Dra",
                                       "Ud",
                                       "Uds",
                                       "Gral",
                                       "EE",
                                       "Sig",
                                       "Dott",
                                       "Avv",
                                       "Ing",
                                       "Mons",
                                       "Exmo",
                                       "Sto",
                                       "dhr",
                                       "mevr",
                                       "bijv",
                                       "\xD0\xB3-\xD0\xBD" /* г-н */,
                                       "\xD1\x82.\xD0\xB5" /* т.е */,
                                       "\xD0\xBF\xD1\x80\xD0\xBE\xD1\x84" /* проф */,
                                       "\xD1\x81\xD0\xBC" /* см */});
  if (std::ranges::find(kAlways, word) != kAlways.end()) return Abbreviation::kAlways;
  if (is_ordinal(text, word)) return Abbreviation::kAlways;
  static constexpr std::array kMaybe = std::to_array<std::string_view>(
      {"etc", "al",  "Inc",  "Ltd", "Co",  "Corp", "Bros",
       "Jr",  "Esq", "Ph.D", "M.D", "ff",  "usw",  "UU",
       "a.m", "p.m", "ibid", "pp",  "Vol", "vol",  "\xD0\xB4\xD1\x80" /* др */});
  if (std::ranges::find(kMaybe, word) != kMaybe.end()) return Abbreviation::kMaybe;
  // An initial; not the pronoun.
  if (letters_of(word) == 1 && word != "I" && (word[0] < '0' || word[0] > '9')) return Abbreviation::kMaybe;
  // "U.S", "U.S.A", "J.R.R"
  const bool dotted = word.size() >= 3 && word.size() % 2 == 1;
  for (std::size_t i = 0; dotted && i < word.size(); ++i) {
    const bool capital = word[i] >= 'A' && word[i] <= 'Z';
    if (i % 2 == 0 ? !capital : word[i] != '.') return Abbreviation::kNone;
  }
  return dotted ? Abbreviation::kMaybe : Abbreviation::kNone;
}

/// Whether a number belongs to the abbreviation that ends `text`: "No. 5", "p. 12", "Jan. 5".
inline bool precedes_number(std::string_view text) {
  static constexpr std::array kBefore = std::to_array<std::string_view>(
      {"No",  "no",  "Nos", "nos", "p",   "pp",  "pg",  "Ch",  "ch",  "Sec",
       "sec", "Eq",  "eq",  "Tab", "tab", "Art", "art", "Abs", "Kap", "Bd",
       "S",   "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept",
       "Oct", "Okt", "Nov", "Dec", "Dez", "núm", "pág", "tel", "Tel", "\xD1\x81\xD1\x82\xD1\x80" /* стр */});
  const std::string_view word = word_at_end(text);
  return std::ranges::find(kBefore, word) != kBefore.end();
}

/// Words that often begin a sentence and are hardly ever part of a name.
inline bool often_begins_sentence(std::string_view word) {
  static constexpr std::array kWords = std::to_array<std::string_view>(
      {"The",   "This", "That",  "These",  "Those",   "There",    "He",   "She",   "It",   "We",   "They",
       "You",   "His",  "Her",   "Its",    "Their",   "My",       "Our",  "But",   "And",  "Or",   "So",
       "Yet",   "Then", "Thus",  "When",   "While",   "If",       "As",   "At",    "In",   "On",   "For",
       "From",  "With", "After", "Before", "However", "Although", "What", "Who",   "Why",  "How",  "Now",
       "No",    "Yes",  "Not",   "An",     "A",       "Der",      "Die",  "Das",   "Er",   "Sie",  "Es",
       "Wir",   "Und",  "Aber",  "Dann",   "Wenn",    "Le",       "La",   "Les",   "Il",   "Elle", "Ils",
       "Elles", "Et",   "Mais",  "El",     "Los",     "Las",      "Ella", "Ellos", "Pero", "Y",    "En"});
  return std::ranges::find(kWords, word) != kWords.end();
}

}  // namespace unroll::builtin
