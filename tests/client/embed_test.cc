// Indexes of vectors: readable by other programs, and searchable.
#include "client/commands/embed_index.h"
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
  EXPECT_EQ(about["file"], path("book.txt"));
  EXPECT_FALSE(about["model"].empty());
  const json expected = as_json("book.txt");
  EXPECT_EQ(tensors.at("segments").size(0), static_cast<std::int64_t>(expected["segments"].size()));
  EXPECT_EQ(tensors.at("document").size(0), expected["dim"]);
  const EmbedIndex index = read_embed_index(file);
  EXPECT_EQ(index.document, expected["vector"].get<std::vector<float>>());
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
  narrow.document.resize(narrow.dim);
  write_embed_index(narrow, "safetensors", path("narrow.index"));
  expect_failure(embedded({"embed", "--query", "rain", path("narrow.index")}),
                 "narrow.index holds vectors of", "make it again");
  expect_failure(embedded({"embed", path("book.txt"), "--format", "npy"}), "not for a terminal", "--out FILE",
                 2);
  expect_failure(embedded({"embed", path("book.txt"), path("a.log")}), "one document", "unroll batch", 2);
  expect_failure(embedded({"embed", "--query", " ", file}), "--query is empty", "a few words", 2);
  expect_failure(embedded({"embed", "--query", "rain", file, "--format", "npy"}), "text or json", "npy", 2);
}

}  // namespace
}  // namespace unroll::test
