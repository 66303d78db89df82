// The pages of WARC files, and how damaged files are refused.
#include "client/batch/warc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Throws;

std::string record(const std::string& type, const std::string& media, const std::string& body,
                   const std::string& uri = "https://example.org/") {
  return "WARC/1.0\r\nWARC-Type: " + type + "\r\nwarc-target-uri: " + uri +
         "\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Type: " + media +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body + "\r\n\r\n";
}

std::string response(const std::string& fields, const std::string& body,
                     const std::string& status = "HTTP/1.1 200 OK") {
  return record("response", "application/http; msgtype=response", status + "\r\n" + fields + "\r\n" + body);
}

std::vector<CorpusRecord> records_of(const std::string& file, std::uint64_t skipped = 0,
                                     CorpusFields fields = {}) {
  UniqueFd descriptor(::memfd_create("crawl.warc", MFD_CLOEXEC));
  EXPECT_TRUE(write_all(descriptor.get(), file));
  ::lseek(descriptor.get(), 0, SEEK_SET);
  const auto records = CorpusRecords::open(
      {CorpusFormat::kWarc, "crawl.warc", std::move(descriptor), file.size()}, std::move(fields), skipped);
  std::vector<CorpusRecord> found;
  while (auto record = records->next()) found.push_back(*std::move(record));
  return found;
}

std::vector<std::string> texts_of(const std::string& file) {
  std::vector<std::string> texts;
  for (const auto& record : records_of(file)) texts.push_back(record.text + record.problem);
  return texts;
}

TEST(Warc, ConversionsAreTextsAsTheyAre) {
  const auto file =
      record("warcinfo", "application/warc-fields", "software: x\r\n\r\n") +
      record("conversion", "text/plain", "Erste Zeile\n\nWARC/1.0\r\nkein Kopf\n", "https://a/") +
      record("request", "application/http; msgtype=request", "GET / HTTP/1.1\r\n\r\n") +
      record("conversion", "text/plain", "", "https://b/");
  const auto records = records_of(file);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].text, "Erste Zeile\n\nWARC/1.0\r\nkein Kopf\n");
  EXPECT_EQ(records[0].id, "https://a/");
  EXPECT_EQ(records[1].number, 2u);
  EXPECT_EQ(records[1].text, "");
  EXPECT_EQ(records_of(file, 0, {.id = "warc-record-id"})[0].id, "urn:uuid:1");
}

TEST(Warc, RecordsOfAnEarlierRunAreSkipped) {
  std::string file;
  for (int i = 0; i < 9; ++i)
    file +=
        record("conversion", "text/plain", std::to_string(i)) + response("Content-Type: image/png\r\n", "x");
  const auto rest = records_of(file, 7);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].number, 8u);
  EXPECT_EQ(rest[0].text, "7");
  EXPECT_THAT([&] { records_of(file, 10); }, Throws<CommandError>());
}

TEST(Warc, HtmlIsConverted) {
  const auto page = std::string("<!doctype html><html><head><title>T</title><script>var x;</script></head>") +
                    "<body><p>Ein Satz.</p><p>Noch\neiner.</p></body></html>";
  const auto html = "Content-Type: text/html; charset=utf-8\r\n";
  EXPECT_THAT(texts_of(response(html, page)),
              testing::ElementsAre(AllOf(HasSubstr("Ein Satz.\n"), HasSubstr("Noch einer."),
                                         testing::Not(HasSubstr("var x")))));
  EXPECT_EQ(texts_of(record("resource", "text/html", page)), texts_of(response(html, page)));
}

TEST(Warc, CharsetsOfTheServerCount) {
  EXPECT_EQ(texts_of(response("content-type: text/plain; charset=\"iso-8859-1\"\r\n",
                              "Gr\xfc\xdf"
                              "e")),
            std::vector<std::string>{"Grüße\n"});
}

TEST(Warc, ChunksAreJoinedIfThereAreAny) {
  const auto chunked = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
  EXPECT_EQ(texts_of(response(chunked, "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")),
            std::vector<std::string>{"hello world\n"});
  EXPECT_EQ(texts_of(response(chunked, "the crawler joined them")),
            std::vector<std::string>{"the crawler joined them\n"});
}

TEST(Warc, ARecordThatTheCrawlerCutHasTheChunksBefore) {
  const auto chunked = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
  const std::string body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  for (const auto& [end, text] : std::vector<std::pair<std::string, std::string>>{
           {"6\r\n wo", "hello wo\n"}, {"6\r\n", "hello\n"}, {"6\r", "hello\n"}, {"", "hello\n"}}) {
    EXPECT_EQ(texts_of(response(chunked, "5\r\nhello\r\n" + end)), std::vector<std::string>{text}) << end;
  }
  EXPECT_EQ(texts_of(response(chunked, "0\r\n\r\n")), std::vector<std::string>{""});
}

TEST(Warc, OnlySuccessfulTextIsAPage) {
  EXPECT_TRUE(texts_of(response("Content-Type: text/html\r\n", "gone", "HTTP/1.1 404 Not Found")).empty());
  EXPECT_TRUE(texts_of(response("Content-Type: application/pdf\r\n", "%PDF")).empty());
  EXPECT_TRUE(texts_of(response("", "no type")).empty());
  EXPECT_TRUE(
      texts_of(record("revisit", "application/http; msgtype=response", "HTTP/1.1 200 OK\r\n")).empty());
}

TEST(Warc, APageThatCannotBeReadIsDamaged) {
  const auto texts = texts_of(response("Content-Type: text/html\r\nContent-Encoding: br\r\n", "\x8b\x01") +
                              record("conversion", "text/plain", "good"));
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0], "is compressed in a way that is not known here");
  EXPECT_EQ(texts[1], "good");
}

TEST(Warc, DamagedFilesAreRefused) {
  const auto good = record("conversion", "text/plain", "good");
  const auto refused = [](const std::string& file, const std::string& why) {
    EXPECT_THAT([&] { records_of(file); }, testing::ThrowsMessage<CommandError>(HasSubstr(why))) << file;
  };
  refused(good + "garbage\n", "no WARC record begins at byte " + std::to_string(good.size()));
  refused(good.substr(0, good.size() - 6), "ends within a record");
  refused(good.substr(0, 40), "ends within the head");
  refused("WARC/1.0\r\nWARC-Type: conversion\r\n\r\nx", "no valid Content-Length");
  refused("WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "no valid Content-Length");
  refused("WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: 9999999999999\r\n\r\n", "ends within a record");
}

}  // namespace
}  // namespace unroll::test
