// Where sentences end in the language that is named or detected; lists; scripts without stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/unspaced_words.h"
#include "tests/plugins/sentences.h"

namespace unroll::testing {
namespace {

TEST(SentenceLanguage, AbbreviationsAndOrdinalsAreTheLanguages) {
  expect_sentences(
      "de", {"Das steht auf Seite 12.", "Dort lies weiter.",
             "Zu seinem 40. Geburtstag kam nur Dr. med. Wolf.", "Sie wohnte im 3. Stock, z. B. im Sommer."});
  expect_sentences("en", {"It was no. 12 on the list.", "He called Gov. Hill and Sen. Moss.",
                          "They left in 12.", "August was late."});
  expect_sentences("es", {"Llam\u00f3 el Lic. Ram\u00edrez a la Srta. Vega.", "\u00c9l no contest\u00f3."});
  expect_sentences("it", {"Il Dott. Neri vide la Sig.ra Bruni.", "La porta era chiusa."});
  expect_sentences("da", {"Han boede hos hr. Holm og frk. Lund ved Skt. Peders kirke.", "Det regnede."});
  expect_sentences("ru", {"\u042d\u0442\u043e \u0441\u043a\u0430\u0437\u0430\u043b \u043f\u0440\u043e\u0444. "
                          "\u041e\u0440\u043b\u043e\u0432, \u0441\u043c. \u0441\u0442\u0440. 12.",
                          "\u041e\u043d \u0443\u0448\u0451\u043b."});
}

/// ICU's lists of CLDR: "Ltda." is in its Portuguese one and not in ours.
TEST(SentenceLanguage, TakesIcusListsToo) {
  expect_sentences("pt", {"A firma Silva Ltda. Brasileira fechou.", "O dono saiu."});
  expect_sentences("en", {"The Act. Corp. of Ohio lost.", "The judge left."});
}

TEST(SentenceLanguage, AnInitialIsNoPronoun) {
  expect_sentences("en", {"Nobody went but she and I.", "Did you meet Martha I. Brook?", "I did."});
}

TEST(SentenceLanguage, ItemsOfAListBeginSentences) {
  expect_sentences("en", {"1) Boil the water", "2) Add the tea", "3) Wait"});
  expect_sentences("en", {"9. Shut the door", "10. Go to bed"});
  expect_sentences("en", {"a. Bread", "b. Butter", "c. Salt"});
}

TEST(SentenceLanguage, DotsThatOmitDoNotEndASentence) {
  expect_sentences("en", {"He said . . . Paul was there, and left.", "Then . . . nothing . . . .",
                          "It was over.", "...and so it began.", "\"The sea [...]\" (Hill 12) is long."});
}

TEST(SentenceLanguage, GreekAndArmenianHaveStopsOfTheirOwn) {
  expect_sentences(
      "", {"\u03a0\u03bf\u03cd \u03c0\u03b1\u03c2;", "\u0395\u03b4\u03ce \u03b5\u03af\u03bc\u03b1\u03b9."});
  expect_sentences(
      "",
      {"\u0531\u0575\u057d\u0585\u0580 \u0565\u0580\u056f\u0578\u0582\u0577\u0561\u0562\u0569\u056b \u0567:",
       "\u0535\u057d \u0563\u0576\u0578\u0582\u0574 \u0565\u0574:"});
  expect_sentences("", {"One; Two.", "Three: Four."});
}

TEST(SentenceLanguage, TheSpaceAfterAStopMayBeMissingOutsideLatin) {
  expect_sentences("kk", {"Ресейдің әлеуметтік жағдайы.", "XVIII ғасырдың бірінші ширегі."}, "");
  expect_sentences("el", {"Δε δούλευε κανένας.", "Το κόστος ήταν μεγάλο."}, "");
  expect_sentences("ru", {"Он жил на ул.Пушкина, т.е.Москве, и любил им.Ленина.", "Да."});
  expect_sentences("en", {"The names java.util.List and system.Out are in the index.", "So it is."});
}

TEST(SentenceLanguage, TheNumeroSignBeginsNoSentence) {
  expect_sentences("kk", {"7 қыркүйек 2012 жыл. № 590 нөмірі.", "Бұл туралы кеше хабарлады."});
}

TEST(SentenceLanguage, KhmerEndsAtAKhan) {
  expect_sentences("", {"\u1781\u17d2\u1789\u17bb\u17c6\u1791\u17c5\u1795\u17d2\u179f\u17b6\u179a\u17d4",
                        "\u1782\u17b6\u178f\u17cb\u1793\u17c5\u1795\u17d2\u1791\u17c7\u17d4"});
}

TEST(SentenceLanguage, NothingEndsWithinATitle) {
  expect_sentences(
      "zh",
      {"\u6211\u770b\u4e86\u300a\u8dd1\uff01\u8dd1\uff01\u300b\u4e24\u6b21\u3002", "\u5f88\u597d\u3002"}, "");
}

// "An old library stands by the great river in our village" and "every morning pupils come to read before
// school".
const std::string kLibrary = "ห้องสมุดเก่าแห่งหนึ่งตั้งอยู่ริมแม่น้ำสายใหญ่ในหมู่บ้านของเรา";
const std::string kPupils = "ทุกเช้านักเรียนจะเดินมาอ่านหนังสือก่อนเข้าเรียนที่โรงเรียนใกล้บ้าน";

TEST(SentenceLanguage, ASpaceEndsALongSentenceOfThai) {
  expect_sentences("", {kLibrary, kPupils, kLibrary});
  // Not after a few words, nor before a connective or a number.
  expect_sentences("", {"ตอนเช้า " + kLibrary, kPupils});
  expect_sentences("", {kLibrary + " และ" + kPupils});
  expect_sentences("", {kLibrary + " 12 แห่ง"});
}

TEST(SentenceLanguage, IcuDividesWordsWithoutSpaces) {
  EXPECT_EQ(builtin::count_unspaced_words("กินข้าว"), 2u);
  EXPECT_EQ(builtin::count_unspaced_words("\u56fe\u4e66\u9986\u5f88\u5927\u3002"), 3u);
  EXPECT_EQ(builtin::count_unspaced_words("two words, \xFF"), 2u);
}

const std::string kGerman =
    "Die alte Bibliothek stand seit hundert Jahren am Fluss, und jeden Morgen kamen die Kinder des Dorfes "
    "dorthin. ";

TEST(SentenceLanguage, IsDetected) {
  EXPECT_EQ(read_sentences(kGerman + kGerman, "").document["language"], "de");
  EXPECT_EQ(read_sentences(kLibrary + " " + kPupils, "").document["language"], "th");
  EXPECT_EQ(read_sentences(kGerman, "fr").document["language"], "fr") << "as it was said";
  EXPECT_FALSE(read_sentences("Ja.", "").document.contains("language"));
  EXPECT_FALSE(
      read_sentences("\xFF\xFE 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789", "")
          .document.contains("language"));
}

TEST(SentenceLanguage, IsKeptInTheState) {
  const std::string text =
      kGerman + "Auf Seite 12. Dort stand es. " + kLibrary + " " + kPupils + " 1) Eins 2) Zwei";
  const auto once = read_sentences(text, "de"), resumed = read_sentences(text, "de", true);
  EXPECT_EQ(once.sentences, resumed.sentences);
  EXPECT_EQ(read_sentences(text, "").sentences, read_sentences(text, "", true).sentences);
  for (const auto* plugin : {"score", "summarize", "embed"}) {
    Loaded loaded(builtin_library(plugin));
    const auto state = loaded.create(R"({"language":"de"})")->save();
    EXPECT_THROW(loaded.create()->load(state), PluginError) << plugin;
    EXPECT_THROW(loaded.create(R"({"language":"Deutsch"})"), PluginError) << plugin;
  }
}

}  // namespace
}  // namespace unroll::testing
