// Passages as books have them: abbreviations, speech, stops of many scripts. Each text is divided into these
// sentences; summaries take whole sentences only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/sentences.h"

namespace unroll::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsSupersetOf;

TEST(BookCases, TitlesAndReferencesAreInsideASentence) {
  for (const auto* language : {"en", ""}) {
    expect_sentences(
        language, {"Mrs. Hale wrote to Gen. Ward, vs. the advice of Rev. Cole, in vol. 3.", "He read it."});
    expect_sentences(language, {"Prof. Lind met Capt. Rowe at 5 St. James Road, cf. Fig. 9 on pp. 4 and 5.",
                                "It rained."});
    expect_sentences(language,
                     {"Messrs. Hall and J. P. Carr called on Dr. Ames, viz. Eq. 2b.", "Nobody replied."});
  }
}

TEST(BookCases, English) {
  expect_sentences("en", {"\"Is it Dr. Hale?\" he asked.", "\"No!\" she said.",
                          "They left Washington, D.C. by train.", "The train was late."});
  expect_sentences("en", {"Use it (e.g. Fig. 3b) daily.", "See pp. 4 ff. there.", "iTunes closed.",
                          "It cost $3.50 in the U.K.", "They paid."});
  expect_sentences(
      "en", {"Well… maybe.", "He came at 9 a.m. on Feb. 3.", "'Why?!'", "(Nobody knew.)", "So be it..."});
}

TEST(BookCases, German) {
  expect_sentences(
      "de", {"»Kommst du?«", "Frau Dr. Lenz lachte.", "Am 1. Mai, d. h. morgen, geht es u. a. nach Ulm."});
  expect_sentences("de", {"Das war im 19. Jahrhundert.", "Nr. 5 fehlt, vgl. Abb. 3 auf S. 7 f. im 1. Band.",
                          "‚Nein!‘ rief sie."});
  expect_sentences(
      "de", {"Es waren ca. 20 Leute bzw. 30 mit Kindern.", "„Gut.“", "Alle gingen …", "Dann war es still."});
}

TEST(BookCases, French) {
  expect_sentences("fr",
                   {"« Où vas-tu ? »", "Mlle Roux se tut.", "M. Petit arriva le 2 mai avec Mme Leroy."});
  expect_sentences("fr", {"Voir cf. p. 3, art. 5.", "Étienne dort.", "Eh bien… rien."});
  expect_sentences("fr", {"« Oui ! » cria-t-il.", "Ça va ?", "À demain."});
}

TEST(BookCases, Spanish) {
  expect_sentences("es", {"¿Vienes?", "—Sí —dijo la Dra. Ruiz.", "Ángel calló."});
  expect_sentences("es", {"El Sr. Gil y la Sra. Mora viven en la Av. Colón.", "¡Qué bien!", "Óscar rió."});
  expect_sentences("es", {"«¿Quién?»", "Nadie respondió…", "Los EE. UU. ganaron."});
}

TEST(BookCases, Arabic) {
  expect_sentences("ar", {"أين الكتاب؟", "لا أعرف!", "سأل المعلم الطلاب."});
  expect_sentences("ar", {"وصل القطار في الساعة الخامسة؛ ثم غادر.", "هل رأيته؟", "نعم."});
  expect_sentences("ar", {"جلس الشيخ تحت الشجرة۔", "كانت الشمس حارة.", "لماذا؟"});
}

TEST(BookCases, Chinese) {
  expect_sentences("zh", {"她说：「快走！别回头。」", "然后关上了门。", "为什么？"}, "");
  expect_sentences("zh", {"《活着》很好看。", "真的吗？", "是的！"}, "");
  expect_sentences("zh", {"船长说：“明天出发。”", "大家都笑了！", "谁去呢？"}, "");
}

/// Each has a summary, of whole sentences.
TEST(BookCases, ScriptsWithoutSpacesHaveSummaries) {
  const std::string thai =
      "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ "
      "ต่างมีเหตุผลและมโนธรรมและควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ";
  const std::vector<std::string> lao = {
      "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ, ສິດທິ, ເສລີພາບ ແລະ ຄວາມສະເໝີພາບເທົ່າທຽມກັນ.",
      "ທຸກໆຄົນມີເຫດຜົນ ແລະ ຄວາມຄິດຄວາມເຫັນສ່ວນຕົວຂອງໃຜຂອງມັນ, ແຕ່ວ່າມະນຸດທຸກໆຄົນຕ້ອງປະພຶດຕໍ່ກັນຄືກັນກັບເປັນອ້າຍນ້ອງກັນ."};
  const std::vector<std::string> khmer = {
      "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាពក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។",
      "មនុស្សមានវិចារណញ្ញាណនិងសតិសម្បជញ្ញៈជាប់ពីកំណើតហើយគប្បីប្រព្រឹត្តចំពោះគ្នាទៅវិញទៅមកក្នុងស្មារតីភាតរភាពជាបងប្អូន។"};
  EXPECT_FALSE(summary_of("ปฏิญญาสากล\n\n" + thai + "\n", 60).empty());
  EXPECT_THAT(lao, IsSupersetOf(summary_of(lao[0] + " " + lao[1] + "\n", 40)));
  EXPECT_FALSE(summary_of(lao[0] + " " + lao[1] + "\n", 40).empty());
  EXPECT_THAT(khmer, IsSupersetOf(summary_of(khmer[0] + " " + khmer[1] + "\n", 40)));
  EXPECT_FALSE(summary_of(khmer[0] + " " + khmer[1] + "\n", 40).empty());
}

TEST(BookCases, SummariesAreNotCutAtAbbreviations) {
  for (const std::vector<std::string>& sentences :
       {std::vector<std::string>{
            "The bridge (i.e. the old one by the mill) was built in approx. 1840 by two brothers.",
            "It carried carts, coaches etc. and later trams until the war (cf. Hill et al. 1950).",
            "The U.S. Army Corps of Engineers took it down in Aug. 1951 and sold the iron."},
        {"The fair is held by the town of St. Ives on Nov. 4 of each year since the last war.",
         "Traders sell cheese, honey, wool etc. and tell each other stories, e.g. about lost ships.",
         "In vol. 2, p. 31, of his diary Mr. Cole describes how it rained for nine days."},
        {"No. 10 was the smallest house in the street and belonged to Mrs. Ann B. Marsh.",
         "She let rooms to sailors vs. the wishes of her brother, the Rev. Peter Marsh.",
         "Nobody there remembered when, i.e. in which year, she had come from the south."}}) {
    EXPECT_THAT(summary_of(sentences[0] + " " + sentences[1] + " " + sentences[2] + "\n", 200),
                ElementsAreArray(sentences));
  }
}

/// The narration, not a sentence from the middle of a speech.
TEST(BookCases, SpeechIsNotTakenWithoutItsSpeaker) {
  const std::vector<std::string> narration = {
      "The captain of the ship had waited in the harbour for the tide since the morning.",
      "The crew of the ship went ashore again and the captain watched them from the bridge."};
  for (const std::string speech : {"The mate said: “We wait for the tide. The ship waits for the captain and "
                                   "the tide. The ship is a good "
                                   "ship and the tide will come.” Nobody spoke.",
                                   "« Le navire attend la marée, » cria-t-il, « et the ship waits for the "
                                   "captain. The ship and the tide "
                                   "wait for the captain of the ship. Always the ship and the tide. »",
                                   "\"The ship waits for the tide.\n\n\"The ship and the captain wait for "
                                   "the tide again. The tide will come "
                                   "for the ship and the captain,\" said the mate."}) {
    const auto summary = summary_of(narration[0] + "\n\n" + speech + "\n\n" + narration[1] + "\n", 34);
    EXPECT_THAT(summary, ElementsAreArray(narration)) << speech;
  }
}

}  // namespace
}  // namespace unroll::testing
