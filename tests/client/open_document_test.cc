// `unroll text` and the commands that read prose, with the built programs: formats, compression, pipes,
// refusals.
#include <algorithm>

#include "tests/client/documents.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OpenDocument : public WithDaemon {
 protected:
  static Finished text_of(const std::string& name, const std::string& bytes,
                          std::vector<std::string> options = {}) {
    write_file(path(name), bytes);
    options.insert(options.begin(), {"text", path(name)});
    return unroll(options);
  }
  static std::string compressed(const std::string& program, const std::string& bytes) {
    const Finished finished = run({"/usr/bin/env", program, "-c"}, {bytes, {}});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }
};

TEST_F(OpenDocument, ReadsFormats) {
  for (const auto& [name, bytes] :
       std::vector<std::pair<std::string, std::string>>{{"b.epub", book_epub()},
                                                        {"b.docx", book_docx()},
                                                        {"b.html", book_html()},
                                                        {"b.pdf", book_pdf()},
                                                        {"b.txt", wrapped(book_text(), 72)}}) {
    const Finished finished = text_of(name, bytes);
    EXPECT_EQ(finished.exit_code, 0) << name << finished.err;
    EXPECT_EQ(finished.out, book_text()) << name;
  }
}

TEST_F(OpenDocument, ReadsCompressedFormsAndPipes) {
  for (const char* program : {"gzip", "xz", "zstd", "bzip2"}) {
    EXPECT_EQ(text_of("b.z", compressed(program, book_html())).out, book_text()) << program;
    EXPECT_EQ(unroll({"text", "-"}, {compressed(program, book_epub()), {}}).out, book_text()) << program;
    EXPECT_EQ(text_of("b.z", compressed(program, book_text())).out, book_text()) << program;
  }
  EXPECT_EQ(unroll({"text", "-"}, {book_docx(), {}}).out, book_text());
  write_file(path("b.epub"), book_epub());
  EXPECT_EQ(
      run({"/bin/sh", "-c", R"("$0" text - < "$1")", program("unroll").string(), path("b.epub")}).exit_code,
      0);
}

TEST_F(OpenDocument, LeavesOtherTextAsItIs) {
  std::string any = "tab\there\n  indented \n\n\n\nx\n";
  EXPECT_EQ(text_of("a.txt", any).out, any);
  EXPECT_EQ(text_of("a.txt", any).err, "");
  const std::string lines = wrapped(book_text(), 72);
  EXPECT_EQ(unroll({"text", "-"}, {lines, {}}).out, lines) << "a pipe may be a log";
  EXPECT_EQ(unroll({"text", "-", "--unwrap"}, {lines, {}}).out, book_text());
  EXPECT_EQ(text_of("a.txt", lines, {"--keep-layout"}).out, lines);
  EXPECT_EQ(text_of("a.epub", book_epub(), {"--raw"}).out, book_epub());
  const std::string log = with_crlf(log_lines());
  EXPECT_EQ(text_of("a.log", log).out, log);
  EXPECT_EQ(text_of("a.txt", with_crlf(book_text())).out, book_text());
}

TEST_F(OpenDocument, TellsWhatItDid) {
  EXPECT_THAT(text_of("a.txt", wrapped(book_text(), 72)).err,
              AllOf(HasSubstr("a.txt: "), HasSubstr("joined lines")));
  EXPECT_THAT(text_of("a.txt", utf16_of(book_text())).err, HasSubstr("UTF-16LE"));
  const json map = json::parse(text_of("a.epub", book_epub(), {"--format", "json"}).out);
  EXPECT_EQ(map["format"], "EPUB");
  EXPECT_EQ(map["sections"][1]["title"], "Chapter 2");
}

TEST_F(OpenDocument, ScoresTheSameInAllForms) {
  const auto bits = [&](const std::string& name, const std::string& bytes) {
    write_file(path(name), bytes);
    return json::parse(embedded({"score", path(name), "--format", "json"}).out)["bits_per_byte"];
  };
  const json expected = bits("plain.txt", book_text());
  EXPECT_EQ(bits("b.epub", book_epub()), expected);
  EXPECT_EQ(bits("b.rtf", book_rtf()), expected);
  EXPECT_EQ(bits("b.txt", utf16_of(wrapped(book_text(), 60, true))), expected);
}

TEST_F(OpenDocument, OutputsHaveSectionAndPlace) {
  write_file(path("b.epub"), book_epub());
  const auto lines = lines_of(read_by_daemon({"score", path("b.epub"), "--format", "ndjson"}));
  ASSERT_GT(lines.size(), 5U);
  EXPECT_EQ(lines[4]["section"], "Chapter 2");
  EXPECT_EQ(lines[4]["member"], "OEBPS/a second.xhtml");
  EXPECT_GT(lines[4]["source_end"], lines[4]["source_start"]);
  EXPECT_EQ(lines.back()["surprising"][0].contains("section"), true);
  EXPECT_EQ(read_embedded({"score", path("b.epub"), "--format", "ndjson"}),
            read_by_daemon({"score", path("b.epub"), "--format", "ndjson"}));
  const auto run_lines =
      lines_of(read_embedded({"run", "--plugin", "embed:{\"segment_tokens\":64}", path("b.epub")}));
  EXPECT_EQ(run_lines[0]["data"]["section"], "Chapter 1");
  const json summary =
      json::parse(read_embedded({"summarize", path("b.epub"), "--format", "json", "--words", "30"}));
  EXPECT_TRUE(summary["sentences"][0].contains("section"));
}

TEST_F(OpenDocument, LinesAreThoseOfTheFile) {
  const std::string text = wrapped(book_text(), 50);
  for (const std::string& bytes : {text, with_crlf(text), utf16_of(text)}) {
    write_file(path("b.txt"), bytes);
    const auto lines = lines_of(embedded({"score", path("b.txt"), "--format", "ndjson"}).out);
    ASSERT_EQ(lines.size(), 7U);
    const std::size_t at = text.find("In the spring");
    EXPECT_EQ(lines[4]["line"],
              1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  }
}

TEST_F(OpenDocument, EachLineIsADocumentIfWanted) {
  const std::string first = "The keys to the cabinet are on the table.", second = "It rains.";
  write_file(path("lines.txt"), first + "\n\n" + second + "\n" + first);
  write_file(path("one.txt"), first);
  const auto lines =
      lines_of(read_embedded({"score", path("lines.txt"), "--each-line", "--format", "ndjson"}));
  const json one = json::parse(read_embedded({"score", path("one.txt"), "--format", "json"}));
  ASSERT_EQ(lines.size(), 3U);
  for (const std::size_t i : {0, 2}) EXPECT_EQ(lines[i]["nats"], one["nats"]);
  EXPECT_EQ(lines[1]["item"], 3);
  EXPECT_EQ(lines[2]["item"], 4);
  EXPECT_EQ(read_by_daemon({"score", path("lines.txt"), "--each-line"}),
            read_embedded({"score", path("lines.txt"), "--each-line"}));
  EXPECT_EQ(embedded({"score", path("lines.txt"), "--each-line", "--format", "html"}).exit_code, 2);
}

TEST_F(OpenDocument, RefusesWhatIsNoText) {
  const auto refused = [&](const std::string& name, const std::string& bytes, const std::string& why) {
    write_file(path(name), bytes);
    const Finished finished = unroll({"text", path(name)});
    EXPECT_EQ(finished.exit_code, 1) << name;
    EXPECT_THAT(finished.err, AllOf(HasSubstr(name), HasSubstr(why), Not(HasSubstr("\n\n")))) << name;
  };
  std::string noise;
  for (unsigned i = 1, x = 7; i < 3000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  refused("noise", noise, "binary data");
  EXPECT_EQ(embedded({"score", path("noise")}).exit_code, 1);
  refused("program", read_file(program("unroll")).substr(0, 5000), "an ELF program");
  refused("empty.html", "<html><style>p {}</style></html>", "without text");
  refused("cut.epub", book_epub().substr(0, 700), "damaged");
  refused("cut.pdf", book_pdf().substr(0, 300), "PDF");
  refused("scan.pdf",
          "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count "
          "1/MediaBox[0 0 9 9]>>"
          "endobj\n3 0 obj<</Type/Page/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n",
          "without a text layer");
  refused("bomb.zip", zip_of({{"big.txt", std::string(std::size_t{130} << 20, 'a')}}), "limit");
  EXPECT_EQ(unroll({"text", path("b.txt"), "--encoding", "no-such"}).exit_code, 1);
  EXPECT_EQ(unroll({"text", path("b.txt"), "--raw", "--unwrap"}).exit_code, 2);
}

TEST_F(OpenDocument, PdfsInAnArchiveAreRead) {
  write_file(path("b.pdf"), book_pdf());
  write_file(path("n.pdf"), book_pdf(40));
  write_file(
      path("pdfs.zip"),
      zip_of({{"b.pdf", book_pdf()}, {"cut.pdf", book_pdf().substr(0, 300)}, {"n.pdf", book_pdf(40)}}));
  const Finished finished = unroll({"text", path("pdfs.zip")});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.out, unroll({"text", path("b.pdf")}).out + "\n" + unroll({"text", path("n.pdf")}).out);
  EXPECT_THAT(finished.err, HasSubstr("cut.pdf is a damaged or encrypted PDF"));
}

TEST_F(OpenDocument, PdfsNeedPdftotext) {
  write_file(path("b.pdf"), book_pdf());
  write_file(path("b.zip"), zip_of({{"b.pdf", book_pdf()}}));
  for (const auto* name : {"b.pdf", "b.zip"}) {
    const Finished finished = unroll({"text", path(name)}, {"", {{"PATH", "/nowhere"}}});
    EXPECT_EQ(finished.exit_code, 1) << name;
    EXPECT_THAT(finished.err, HasSubstr("poppler-utils")) << name;
  }
}

}  // namespace
}  // namespace unroll::test
