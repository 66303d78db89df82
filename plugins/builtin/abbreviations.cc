#include "plugins/builtin/abbreviations.h"

#include <algorithm>
#include <array>
#include <memory>

#include <unicode/ures.h>
#include <unicode/utypes.h>

#include "base/ascii.h"

namespace unroll::builtin {
namespace {

/// Words, separated by spaces. Without a language: of all.
struct List {
  std::string_view language, words;
};

constexpr std::array kAlways = std::to_array<List>({
    {"", "Mr Mrs Ms Mx Dr Drs Prof St Ste vs cf Cf approx fig Fig figs Figs"},
    {"en",
     "Messrs Rev Gen Col Capt Cpt Lt Sgt Maj Adm Gov Sen Rep Pres Hon Mt viz e.g i.e esp incl Cmdr Supt "
     "Insp"},
    {"de",
     "Hr Fr Frl Hrn Hl hl Vgl vgl bzw ca Ca z.B d.h u.a i.d.R s.o s.u sog Nr Bd geb gest kath evang ev med "
     "jur "
     "phil rer nat bspw evtl ggf inkl zzgl Str allg bes insbes versch Jh v.Chr n.Chr Hrsg hrsg"},
    {"fr", "MM Mme Mmes Mlle Mlles Mgr Vve env chap av apr"},
    {"es",
     "Sr Sra Srta Sres Dra Ud Uds Gral EE Lic Ing Arq Prof Profa Excmo Excma Ilmo D D\u00aa Da p.ej Avda Av "
     "Cap"},
    {"it", "Sig Sigg Dott Avv Ing Mons Geom Rag Arch Spett Gent Egr Amm"},
    {"pt", "Sr Sra Srs Sras Dra Exmo Exma Sto Sta Eng Prof Profa V.Exa"},
    {"nl", "dhr mevr mw bijv bv ca ir ing drs mr nl resp o.a d.w.z m.b.t"},
    {"da", "hr Hr fr Fr frk Frk Skt skt bl.a f.eks dvs ca evt inkl jf mht nr"},
    {"sv", "bl.a t.ex d.v.s dvs s.k m.fl ca resp kl nr"},
    {"pl",
     "p dr hab prof mgr in\u017c np tzn tzw tj m.in ul al pl \u015bw ks gen p\u0142k mjr kpt por zob bl"},
    {"cs", "pan\u00ed tzv tj nap\u0159 ing Ing MUDr JUDr PhDr RNDr sv nap kpt gen"},
    {"ru",
     "\u0433-\u043d \u0433-\u0436\u0430 \u0442.\u0435 \u043f\u0440\u043e\u0444 \u0441\u043c \u0438\u043c "
     "\u0443\u043b \u0442\u043e\u0432 \u0430\u043a\u0430\u0434 \u043d\u0430\u043f\u0440 \u0441\u0440 "
     "\u0433\u0440"},
});

constexpr std::array kMaybe = std::to_array<List>({
    {"", "etc al Inc Ltd Co Corp Bros Jr Esq Ph.D M.D a.m p.m ibid pp Vol vol [.."},
    {"de", "ff usw usf etc u.\u00c4 u.s.w"},
    {"es", "UU aprox ptas"},
    {"it", "ecc"},
    {"nl", "enz e.d"},
    {"da", "osv m.m m.fl mv"},
    {"pl", "itd itp r w wiek"},
    {"ru",
     "\u0434\u0440 \u043f\u0440 \u0433\u0433 \u0432\u0432 \u0440\u0443\u0431 \u0442\u044b\u0441 "
     "\u043c\u043b\u043d \u043c\u043b\u0440\u0434"},
    {"th", "ม.ค ก.พ มี.ค เม.ย พ.ค มิ.ย ก.ค ส.ค ก.ย ต.ค พ.ย ธ.ค พ.ศ ค.ศ น กม ดร ศ รศ ผศ นพ พญ"},
});

constexpr std::array kBeforeNumber = std::to_array<List>({
    {"", "No no Nos nos N\u00b0 n\u00b0 N\u00ba n\u00ba p pp pg Ch ch Vol vol tel Tel Art art Eq eq Fig fig"},
    {"en", "Sec sec Tab tab Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Pt pt Bk bk"},
    {"de", "S Abs Kap Bd Nr Anm Jan Feb Apr Aug Sept Okt Nov Dez Abb Tab Jh"},
    {"fr", "janv f\u00e9vr avr juil sept oct nov d\u00e9c chap t vol"},
    {"es", "n\u00fam p\u00e1g p\u00e1gs cap ene feb abr ago sept oct nov dic"},
    {"it", "pag pagg cap gen feb mar apr giu lug ago set ott nov dic n"},
    {"nl", "blz hfdst"},
    {"da", "s kap nr"},
    {"pl", "s str nr rys tab rozdz"},
    {"ru", "\u0441\u0442\u0440 \u0441 \u0433\u043b \u0440\u0438\u0441 \u0442\u0430\u0431\u043b \u2116"},
});

constexpr std::array kBeginnings = std::to_array<List>({
    {"en",
     "The This That These Those There He She It We They You His Her Its Their My Our But And Or So Yet Then "
     "Thus "
     "When While If As At In On For From With After Before However Although What Who Why How Where Now No "
     "Yes Not "
     "An A Did Do Does Is Are Was Were Can"},
    {"de",
     "Der Die Das Er Sie Es Wir Ihr Und Aber Dann Wenn Doch Als Ein Eine Im In Am Auf Mit Nach Dort Hier Wie "
     "Was "
     "Wer Dies Diese Dieser Nun So"},
    {"fr",
     "Le La Les L Il Elle Ils Elles On Nous Vous Et Mais Ce C Cette Ces Dans En Un Une Puis Je J Qui Que"},
    {"es", "El La Los Las Ella Ellos \u00c9l Pero Y En Un Una Yo Se No Es Su Sus Cuando Como Este Esta Esto"},
    {"it", "Il Lo La I Gli Le L Un Una Ma E Non Si Poi Quando Come Questo Questa Nel Per"},
    {"pt", "O A Os As Ele Ela Eles Elas Mas E Em Um Uma N\u00e3o Quando Como Este Esta"},
    {"nl", "De Het Een Hij Zij Ze Wij We Ik Er Maar En Dan Als Toen Dat Dit Die In Op Wat Hoe"},
    {"da", "Den Det De Han Hun Vi Jeg Og Men S\u00e5 Da I P\u00e5 En Et Hvad Hvor Hvem Der"},
    {"sv", "Den Det De Han Hon Vi Jag Och Men S\u00e5 D\u00e5 I P\u00e5 En Ett Vad Hur Vem"},
    {"pl", "On Ona Ono Oni To Ten Ta Te Ale I A W Na Nie Po Gdy Jak Co"},
    {"ru",
     "\u041e\u043d \u041e\u043d\u0430 \u041e\u043d\u043e \u041e\u043d\u0438 \u042d\u0442\u043e "
     "\u0418 \u041d\u043e \u0410 \u0412 \u041d\u0430 \u041d\u0435 \u042f \u041c\u044b \u0422\u043e "
     "\u041a\u0430\u043a "
     "\u0427\u0442\u043e"},
});

/// Words after which a number with a full stop is an ordinal, in languages where a capital may follow that.
constexpr std::array kArticles = std::to_array<List>({
    {"de", "am Am der Der die Die das Das den dem des im Im vom Vom zum Zum beim bis"},
});

/// Words before which it is one.
constexpr std::array kAfterOrdinals = std::to_array<List>({
    {"de",
     "Januar Februar M\u00e4rz April Mai Juni Juli August September Oktober November Dezember Jahrhundert "
     "Jahrhunderts Jahrtausend Jh Klasse Stock Etage Geburtstag Auflage Kapitel Band Platz Tag Woche "
     "Lebensjahr"},
});

/// Adds the words of the language, or of all if it is empty, and those of all languages.
template <std::size_t n, class Words>
void add(const std::array<List, n>& lists, std::string_view language, Words& words) {
  for (const List& list : lists) {
    if (!language.empty() && !list.language.empty() && list.language != language) continue;
    for (std::size_t at = 0; at < list.words.size();) {
      const std::size_t end = std::min(list.words.find(' ', at), list.words.size());
      words.emplace(list.words.substr(at, end - at));
      at = end + 1;
    }
  }
}

template <std::size_t n>
bool has(const std::array<List, n>& lists, std::string_view language) {
  return std::ranges::any_of(lists, [&](const List& list) { return list.language == language; });
}

constexpr std::string_view kClosing = "\"')] ";

/// The word that ends `text`, without its full stop and what closes after it; with the dots within it.
std::string_view word_at_end(std::string_view text) {
  while (!text.empty() && kClosing.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  if (text.empty() || text.back() != '.') return {};
  text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && std::string_view(" \t\n(\"'/").find(text[begin - 1]) == std::string_view::npos) --begin;
  if (begin < text.size() && text[begin] == '[' && text.substr(begin) != "[..") ++begin;
  return text.substr(begin);
}

/// The word before `word`, which is a part of `text`.
std::string_view word_before(std::string_view text, std::string_view word) {
  text = text.substr(0, static_cast<std::size_t>(word.data() - text.data()));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const std::size_t space = text.rfind(' ');
  return space == std::string_view::npos ? text : text.substr(space + 1);
}

std::size_t letters_of(std::string_view word) {
  return static_cast<std::size_t>(
      std::ranges::count_if(word, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_number(std::string_view word, std::size_t most_digits) {
  return word.size() <= most_digits && ascii::all_digits(word);
}

/// "Albert I." has an initial, "you and I." the pronoun.
bool follows_name(std::string_view text, std::string_view word) {
  const std::string_view before = word_before(text, word);
  return !before.empty() && ascii::is_upper(before[0]);
}

/// "U.S", "U.S.A", "J.R.R"
bool is_dotted(std::string_view word) {
  if (word.size() < 3 || word.size() % 2 == 0) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (i % 2 == 0 ? !ascii::is_upper(word[i]) : word[i] != '.') return false;
  }
  return true;
}

/// ". . .", as an omission within a sentence is set; with a fourth the sentence ends.
bool is_spaced_ellipsis(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  constexpr std::string_view kThree = " . . .";
  if (!text.ends_with(kThree)) return false;
  text.remove_suffix(kThree.size());
  return !text.empty() && text.back() != '.';
}

}  // namespace

Abbreviations::Abbreviations(std::string_view language) {
  const bool known = has(kAlways, language) || has(kMaybe, language);
  if (!known) language = {};
  add(kAlways, language, always_);
  add(kMaybe, language, maybe_);
  add(kBeforeNumber, language, before_number_);
  add(kBeginnings, language, beginnings_);
  add(kArticles, language, articles_);
  add(kAfterOrdinals, language, after_ordinals_);
  ordinals_ = language.empty() || has(kArticles, language);
  if (!language.empty()) add_suppressions(std::string(language));
}

/// Words like "Act." are among them, which may well end a sentence.
void Abbreviations::add_suppressions(const std::string& language) {
  struct Close {
    void operator()(UResourceBundle* bundle) const { ures_close(bundle); }
  };
  using Bundle = std::unique_ptr<UResourceBundle, Close>;
  UErrorCode error = U_ZERO_ERROR;
  const Bundle breaks(ures_open(U_ICUDATA_NAME "-brkitr", language.c_str(), &error));
  const Bundle exceptions(ures_getByKey(breaks.get(), "exceptions", nullptr, &error));
  const Bundle list(ures_getByKey(exceptions.get(), "SentenceBreak", nullptr, &error));
  if (U_FAILURE(error)) return;  // ICU has none for the language
  const std::int32_t count = ures_getSize(list.get());
  for (std::int32_t i = 0; i < count; ++i) {
    std::array<char, 64> buffer{};
    auto length = static_cast<std::int32_t>(buffer.size());
    const char* text = ures_getUTF8StringByIndex(list.get(), i, buffer.data(), &length, 1, &error);
    if (U_FAILURE(error)) return;
    std::string_view word(text, static_cast<std::size_t>(length));
    if (!word.ends_with('.')) continue;
    word.remove_suffix(1);
    if (!always_.contains(word)) maybe_.emplace(word);
  }
}

/// "3" in "am 3. Oktober".
bool Abbreviations::is_ordinal(std::string_view text, std::string_view word) const {
  return ordinals_ && is_number(word, 2) && articles_.contains(word_before(text, word));
}

bool Abbreviations::is_ordinal_before(std::string_view text, std::string_view next) const {
  return ordinals_ && is_number(word_at_end(text), 2) && after_ordinals_.contains(next);
}

Abbreviation Abbreviations::at_end(std::string_view text) const {
  if (is_spaced_ellipsis(text)) return Abbreviation::kAlways;
  const std::string_view word = word_at_end(text);
  if (word.empty()) return Abbreviation::kNone;
  if (maybe_.contains(word)) return Abbreviation::kMaybe;
  if (always_.contains(word) || is_ordinal(text, word)) return Abbreviation::kAlways;
  if (letters_of(word) == 1 && (word[0] < '0' || word[0] > '9'))
    return word == "I" && !follows_name(text, word) ? Abbreviation::kNone : Abbreviation::kMaybe;
  return is_dotted(word) ? Abbreviation::kMaybe : Abbreviation::kNone;
}

bool Abbreviations::precedes_number(std::string_view text) const {
  return before_number_.contains(word_at_end(text));
}

}  // namespace unroll::builtin
