// The protocol without sockets: parsing and writing lines, and the table of errors as in the manual.
#include "protocol/protocol.h"

#include <fstream>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"

namespace unroll {
namespace {

using testing::HasSubstr;

Request request_of(std::string_view line) {
  auto parsed = parse_request(line);
  if (auto* bad = std::get_if<BadRequest>(&parsed)) throw bad->error;
  return std::get<Request>(parsed);
}
ErrorCode code_of(std::string_view line) {
  const auto parsed = parse_request(line);
  EXPECT_TRUE(std::holds_alternative<BadRequest>(parsed)) << line;
  return std::holds_alternative<BadRequest>(parsed) ? std::get<BadRequest>(parsed).error.code : ErrorCode{};
}

TEST(Protocol, RequestsOfEveryForm) {
  const auto whole = request_of(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":[1,{"y":null}]}})");
  EXPECT_EQ(whole.id, "a");
  EXPECT_TRUE(whole.has_id);
  EXPECT_EQ(whole.params.dump(), R"({"x":[1,{"y":null}]})");
  EXPECT_EQ(request_of(R"( {"method":"m","id":-1.5,"jsonrpc":"2.0"} )").id, -1.5);
  EXPECT_FALSE(request_of(R"({"jsonrpc":"2.0","method":"m"})").has_id) << "a notification";
}

TEST(Protocol, WhatIsNoRequest) {
  EXPECT_EQ(code_of(""), ErrorCode::kParse);
  EXPECT_EQ(code_of("{\"jsonrpc\":\"2.0\",\"method\":\"\xFF\"}"), ErrorCode::kParse) << "not UTF-8";
  EXPECT_EQ(code_of("[{}]"), ErrorCode::kInvalidRequest) << "a batch";
  EXPECT_EQ(code_of("7"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","id":true,"method":"m"})"), ErrorCode::kInvalidRequest);
  const auto deep = [](std::size_t depth) {
    return R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"x":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}}";
  };
  EXPECT_NO_THROW(request_of(deep(kMaxJsonDepth - 2)));
  EXPECT_EQ(code_of(deep(kMaxJsonDepth - 1)), ErrorCode::kParse);
  EXPECT_EQ(code_of(deep(100'000)), ErrorCode::kParse) << "no stack is used up";
}

TEST(Protocol, ABadRequestKeepsItsId) {
  const auto parsed = parse_request(R"({"jsonrpc":"2.0","id":42,"method":1})");
  ASSERT_TRUE(std::holds_alternative<BadRequest>(parsed));
  EXPECT_EQ(std::get<BadRequest>(parsed).id, 42);
}

TEST(Protocol, LinesComeBackAsTheyWere) {
  const auto answer = std::get<Response>(parse_message(error_line(3, {ErrorCode::kLimit, "too many \xFF"})));
  EXPECT_EQ(answer.id, 3);
  EXPECT_EQ(answer.error->code, ErrorCode::kLimit);
  EXPECT_THAT(answer.error->what(), HasSubstr("too many \xEF\xBF\xBD"));
  const auto output = std::get<Notification>(parse_message(output_line("d", {7, "score", R"({"x":1.50})"})));
  EXPECT_EQ(output.method, notification::kOutput);
  EXPECT_EQ(output.params["sequence"], 7);
  EXPECT_THAT(output_line("d", {7, "score", R"({"x":1.50})"}), HasSubstr(R"({"x":1.50})")) << "as it is";
  EXPECT_THROW(parse_message("{}"), Error);

  DocumentStatus status;
  status.id = "d";
  status.name = "n";
  status.priority = -2;
  status.phase = DocumentPhase::kFailed;
  status.bytes = 1ull << 60;
  status.total_bytes = 5;
  status.tokens = 3;
  status.outputs = 2;
  status.error_code = ErrorCode::kDeadline;
  status.error = "late";
  const auto back = status_from_json(status_to_json(status));
  EXPECT_EQ(status_to_json(back), status_to_json(status));
  EXPECT_EQ(back.bytes, 1ull << 60);
  EXPECT_EQ(back.error_code, ErrorCode::kDeadline);
}

TEST(Protocol, Base64OfEveryLength) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    const auto text = base64_encode(bytes);
    EXPECT_EQ(base64_decode(text), bytes);
    EXPECT_EQ(text.size(), (bytes.size() + 2) / 3 * 4);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(base64_encode("Ma"), "TWE=");
  for (const auto* bad :
       {"T", "TW", "TWE", "TWE==", "TW=E", "TWF", "T===", "TWE=\n", " TWE=", "TW\xC3\xA4="}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
}

TEST(Protocol, TheManualsTableOfErrorsIsTheProgramsTable) {
  std::ifstream in(std::string(UNROLL_SOURCE_DIR) + "/docs/protocol.md");
  ASSERT_TRUE(in);
  const std::regex row(R"(\| −(\d+) \| `([a-z_]+)` \| (\d+) \| (.*) \| (.*) \|)");
  std::vector<std::string> manual, program;
  for (std::string line; std::getline(in, line);) {
    std::smatch found;
    if (std::regex_match(line, found, row)) {
      manual.push_back("-" + found[1].str() + " " + found[2].str() + " " + found[3].str() + " " +
                       std::regex_replace(found[4].str() + " " + found[5].str(), std::regex("`"), ""));
    }
  }
  for (const auto& entry : error_table()) {
    program.push_back(std::to_string(static_cast<int>(entry.code)) + " " + std::string(entry.name) + " " +
                      std::to_string(entry.http_status) + " " +
                      std::regex_replace(std::string(entry.meaning) + " " + std::string(entry.advice),
                                         std::regex("`"), ""));
  }
  EXPECT_EQ(manual, program);
}

}  // namespace
}  // namespace unroll
