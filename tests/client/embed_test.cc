// Indexes of vectors: readable by other programs, and searchable.
#include <cmath>

#include "client/search/segment_search.h"
#include "model/safetensors.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EmbedFiles : public WithModel {
 protected:
  static std::string index_of(const std::string& file, const std::string& format) {
    const std::string out = path(file + "." + format);
    EXPECT_EQ(
        read_embedded({"embed", path(file), "--segment-tokens", "64", "--format", format, "--out", out}), "");
    return out;
  }
  static json as_json(const std::string& file) {
    return json::parse(read_embedded({"embed", path(file), "--segment-tokens", "64"}));
  }
};

TEST_F(EmbedFiles, NumpyReadsTheSameNumbers) {
  const std::string npy = index_of("book.txt", "npy"), f32 = index_of("book.txt", "f32");
  const Finished python = run({"/usr/bin/python3", "-c",
                               "import json, sys, numpy\n"
                               "a = numpy.load(sys.argv[1])\n"
                               "b = numpy.fromfile(sys.argv[2], '<f4').reshape(a.shape)\n"
                               "print(json.dumps({'type': str(a.dtype), 'same': bool((a == b).all()),"
                               " 'rows': a.tolist()}))",
                               npy, f32});
  ASSERT_EQ(python.exit_code, 0) << python.err;
  const json read = json::parse(python.out), expected = as_json("book.txt");
  EXPECT_EQ(read["type"], "float32");
  EXPECT_EQ(read["same"], true);
  ASSERT_EQ(read["rows"].size(), expected["segments"].size());
  for (std::size_t i = 0; i < read["rows"].size(); ++i) {
    const auto row = read["rows"][i].get<std::vector<float>>();
    EXPECT_EQ(row, expected["segments"][i]["vector"].get<std::vector<float>>());
  }
}

TEST_F(EmbedFiles, SafetensorsHoldOffsetsAndWhereTheyAreFrom) {
  const std::string file = index_of("book.txt", "safetensors");
  std::map<std::string, std::string> about;
  const TensorMap tensors = read_safetensors(file, &about);
  EXPECT_EQ(json::parse(about["documents"])[0]["file"], path("book.txt"));
  EXPECT_FALSE(about["model"].empty());
  const json expected = as_json("book.txt");
  EXPECT_EQ(tensors.at("segments").size(0), static_cast<std::int64_t>(expected["segments"].size()));
  EXPECT_EQ(tensors.at("documents").size(1), expected["dim"]);
  const EmbedIndex index = read_embed_index(file);
  EXPECT_EQ(index.vectors, expected["vector"].get<std::vector<float>>());
  for (std::size_t i = 0; i < index.size(); ++i) {
    EXPECT_EQ(index.offsets[2 * i], expected["segments"][i]["start"]);
    EXPECT_EQ(index.offsets[2 * i + 1], expected["segments"][i]["end"]);
  }
}

TEST_F(EmbedFiles, AFewWordsFindTheirSegment) {
  write_file(path("needle.txt"), prose(6) + "\nThe lighthouse keeper counted albatrosses.\n\n" + prose(6));
  const std::string book = index_of("book.txt", "safetensors"),
                    needle = index_of("needle.txt", "safetensors");
  const json found = json::parse(read_embedded({"embed", "--query", "albatrosses, keeper of the LIGHTHOUSE",
                                                book, needle, "--top", "3", "--format", "json"}));
  ASSERT_EQ(found["results"].size(), 3u);
  const json& best = found["results"][0];
  EXPECT_EQ(best["file"], path("needle.txt"));
  const std::size_t start = best["start"], end = best["end"];
  EXPECT_THAT(read_file(path("needle.txt")).substr(start, end - start), HasSubstr("keeper"));
  EXPECT_GT(best["score"], found["results"][1]["score"]);
  EXPECT_FALSE(best["text"].get<std::string>().empty());
  EXPECT_THAT(read_embedded({"embed", "--query", "lighthouse keeper", needle, "--top", "1"}),
              HasSubstr("needle.txt"));
  // Without the document there is no text, but everything else.
  std::filesystem::remove(path("needle.txt"));
  const json alone =
      json::parse(read_embedded({"embed", "--query", "lighthouse keeper", needle, "--format", "json"}));
  EXPECT_FALSE(alone["results"][0].contains("text"));
}

TEST_F(EmbedFiles, AFolderIsOneIndexOfWhichOnlyWhatChangedIsRead) {
  const std::filesystem::path folder = path("folder");
  std::filesystem::create_directories(folder / "more");
  write_file(folder / "a.txt", prose(3) + "\nThe lighthouse keeper counted albatrosses.\n");
  write_file(folder / "more/b.txt", prose(4));
  write_file(folder / "c.txt", prose(5));
  write_file(folder / "noise", std::string("\x7F"
                                           "ELF\0\0",
                                           6));
  const std::string out = (folder / "all.index").string();
  const auto update = [&] {
    const Finished done = embedded(
        {"embed", folder.string(), "--format", "safetensors", "--segment-tokens", "64", "--out", out});
    EXPECT_EQ(done.exit_code, 1) << done.err;
    EXPECT_THAT(done.err, HasSubstr("noise"));
    return done.err;
  };
  EXPECT_THAT(update(), HasSubstr("3 documents, of which 0 are unchanged"));
  const EmbedIndex first = read_embed_index(out);
  EXPECT_THAT(update(), HasSubstr("3 documents, of which 3 are unchanged"));
  const EmbedIndex same = read_embed_index(out);
  EXPECT_EQ(same.segments, first.segments);
  EXPECT_EQ(same.term_ends, first.term_ends);
  // One is changed, one removed, one new: the index is that of the folder as it is.
  write_file(folder / "more/b.txt", prose(6));
  std::filesystem::remove(folder / "c.txt");
  write_file(folder / "d.txt", "A new one.\n");
  EXPECT_THAT(update(), HasSubstr("3 documents, of which 1 are unchanged"));
  const EmbedIndex updated = read_embed_index(out);
  std::filesystem::remove(out);
  update();
  const EmbedIndex fresh = read_embed_index(out);
  EXPECT_EQ(updated.segments, fresh.segments);
  EXPECT_EQ(updated.offsets, fresh.offsets);
  EXPECT_EQ(updated.vectors, fresh.vectors);
  EXPECT_EQ(updated.documents.size(), 3u);
  EXPECT_EQ(updated.document_of(updated.size() - 1).file, (folder / "more/b.txt").string());
  const json found = json::parse(read_embedded(
      {"embed", "--query", "an albatross and a keeper", out, "--top", "1", "--format", "json"}));
  EXPECT_EQ(found["results"][0]["file"], (folder / "a.txt").string());
  EXPECT_GT(found["results"][0]["words"], 0);
}

/// An index of segments with these texts, whose vectors are two numbers each.
EmbedIndex made_index(const std::vector<std::pair<std::string, std::vector<float>>>& segments,
                      const std::string& language = "en") {
  EmbedIndex index;
  index.dim = 2;
  index.documents.push_back({"made", "", language, segments.size()});
  for (const auto& [text, vector] : segments) {
    index.segments.insert(index.segments.end(), vector.begin(), vector.end());
    index.offsets.insert(index.offsets.end(), {0, 1});
    for (const auto& each : count_terms(search_terms(text, language))) index.terms.push_back(each);
    index.term_ends.push_back(index.terms.size());
  }
  return index;
}

std::vector<std::size_t> found_in(const EmbedIndex& index, const std::string& query, SearchBy by) {
  std::vector<std::size_t> segments;
  for (const auto& hit : find_segments({index}, {1, 0}, query, by, 10)) segments.push_back(hit.segment);
  return segments;
}

TEST(SegmentSearch, JoinsWordsAndVectors) {
  const EmbedIndex index = made_index({{"the ship sailed in the storm", {0, 1}},
                                       {"a house and a garden", {1, 0}},
                                       {"ships, ships and storms", {0.8F, 0.6F}},
                                       {"the end", {0.6F, 0.8F}}});
  using testing::ElementsAre;
  EXPECT_THAT(found_in(index, "Ship storms", SearchBy::kWords), ElementsAre(2, 0))
      << "stems; more often is better";
  EXPECT_THAT(found_in(index, "Ship storms", SearchBy::kVectors), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(found_in(index, "Ship storms", SearchBy::kBoth), ElementsAre(2, 0, 3, 1))
      << "what is like the best one comes first among those without a word";
  EXPECT_THAT(found_in(index, "nothing", SearchBy::kWords), ElementsAre());
  EXPECT_THAT(found_in(index, "nothing", SearchBy::kBoth), ElementsAre(1, 2, 3, 0)) << "by the vectors";
  const auto best = find_segments({index}, {1, 0}, "ship", SearchBy::kWords, 1).at(0);
  EXPECT_EQ(best.segment, 2u);
  EXPECT_EQ(best.score, 1);
  EXPECT_NEAR(best.similarity, 0.8, 1e-6);
}

/// The two have the same words of the query.
TEST(SegmentSearch, WhatIsLikeTheBestOneIsRaised) {
  for (const bool first : {false, true}) {
    const std::vector<float> like = {0.6F, 0.8F}, unlike = {1, 0};
    const EmbedIndex index = made_index({{"storm storm storm", {0, 1}},
                                         {"a storm at night", first ? like : unlike},
                                         {"a storm at noon", first ? unlike : like}});
    EXPECT_THAT(found_in(index, "storm", SearchBy::kBoth),
                first ? testing::ElementsAre(0, 1, 2) : testing::ElementsAre(0, 2, 1));
    EXPECT_THAT(found_in(index, "storm", SearchBy::kWords), testing::ElementsAre(0, 1, 2));
  }
}

/// BM25 worked by hand: N 2, n 1, lengths 2 and 4, k1 1.2, b 0.75.
TEST(SegmentSearch, WordsAreScoredByBm25) {
  const EmbedIndex index = made_index({{"one two", {0, 0}}, {"three three four five", {0, 0}}}, "");
  const auto hit = find_segments({index}, {0, 0}, "three", SearchBy::kWords, 1).at(0);
  EXPECT_NEAR(hit.words, std::log(1 + 1.5 / 1.5) * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3)), 1e-9);
}

TEST(SearchTerms, AreStemsOfWordsInAnyScript) {
  const auto terms = [](const std::string& text, const std::string& language) {
    return search_terms(text, language);
  };
  EXPECT_EQ(terms("The HOUSES", "en"), terms("the house", "en"));
  EXPECT_NE(terms("houses", "")[0], terms("house", "")[0]);
  EXPECT_EQ(terms("H\u00e4user, Stra\u00dfe!", "de"), terms("h\u00e4user strasse", "de")) << "case is folded";
  EXPECT_EQ(terms("\u56fe\u4e66\u9986\u5f88\u5927\u3002", "zh").size(), 3u);
  EXPECT_EQ(terms("\xFF one \xC3", "en").size(), 1u);
}

TEST_F(EmbedFiles, WhatDoesNotFitIsSaid) {
  const std::string file = index_of("book.txt", "safetensors");
  EmbedIndex other = read_embed_index(file);
  other.model = "0123";
  write_embed_index(other, "safetensors", path("other.index"));
  expect_failure(embedded({"embed", "--query", "rain", path("other.index")}),
                 "other.index was made with another model", "--model");
  expect_failure(embedded({"embed", "--query", "rain", path("model/model.safetensors")}), "is not an index",
                 "--format safetensors");
  expect_failure(embedded({"embed", "--query", "rain", path("missing")}), "missing", "");
  EmbedIndex narrow = read_embed_index(file);
  narrow.dim /= 2;
  narrow.segments.resize(narrow.size() * narrow.dim);
  narrow.vectors.resize(narrow.dim);
  write_embed_index(narrow, "safetensors", path("narrow.index"));
  expect_failure(embedded({"embed", "--query", "rain", path("narrow.index")}),
                 "narrow.index holds vectors of", "make it again");
  expect_failure(embedded({"embed", path("book.txt"), "--format", "npy"}), "not for a terminal", "--out FILE",
                 2);
  expect_failure(embedded({"embed", path("book.txt"), path("a.log")}), "several documents",
                 "--format safetensors", 2);
  expect_failure(embedded({"embed", "--query", " ", file}), "--query is empty", "a few words", 2);
  expect_failure(embedded({"embed", "--query", "rain", file, "--format", "npy"}), "text or json", "npy", 2);
}

}  // namespace
}  // namespace unroll::test
