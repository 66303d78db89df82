// Valid and invalid requests beyond the forms in protocol_test.cc.
#include <algorithm>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

Request good(const std::string& line) {
  auto parsed = parse_request(line);
  if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
    ADD_FAILURE() << "refused: " << line.substr(0, 200) << ": " << bad->error.what();
    return {};
  }
  return std::get<Request>(std::move(parsed));
}

BadRequest bad(const std::string& line) {
  auto parsed = parse_request(line);
  if (std::holds_alternative<Request>(parsed)) {
    ADD_FAILURE() << "taken: " << line.substr(0, 200);
    return {json(), Error(ErrorCode::kInternal, "")};
  }
  return std::get<BadRequest>(std::move(parsed));
}

std::string with_params(const std::string& params) {
  return R"({"jsonrpc":"2.0","id":1,"method":"m","params":)" + params + "}";
}

TEST(Requests, HaveIdsOfAllKinds) {
  for (const char* id : {"0", "-1", "18446744073709551615", "-9223372036854775808", "1.5", "\"\"",
                         "\"a\\u0000b\"", "\"\\ud83d\\ude42\"", "null"}) {
    const Request request = good(std::string(R"({"jsonrpc":"2.0","method":"m","id":)") + id + "}");
    EXPECT_TRUE(request.has_id) << id;
    EXPECT_EQ(request.id, json::parse(id));
    // The answer returns it unchanged to the last digit.
    EXPECT_EQ(json::parse(result_line(request.id, 1))["id"].dump(), json::parse(id).dump());
  }
  for (const char* id : {"true", "[]", "[1]", "{}"}) {
    const BadRequest refused = bad(std::string(R"({"jsonrpc":"2.0","method":"m","id":)") + id + "}");
    EXPECT_EQ(refused.error.code, ErrorCode::kInvalidRequest) << id;
    EXPECT_EQ(refused.id, nullptr) << id;
  }
}

TEST(Requests, WithDuplicateKeysAreRefused) {
  for (const char* line : {R"({"jsonrpc":"2.0","id":1,"method":"a","id":2})",
                           R"({"jsonrpc":"2.0","id":1,"method":"a","params":{"x":1,"x":2}})"}) {
    const BadRequest refused = bad(line);
    EXPECT_EQ(refused.error.code, ErrorCode::kParse) << line;
    EXPECT_THAT(refused.error.what(), HasSubstr("duplicate key")) << line;
  }
}

TEST(Requests, ThatAreNoneSayWhy) {
  const auto expect = [](const std::string& line, ErrorCode code, const json& id, const std::string& text) {
    const BadRequest refused = bad(line);
    EXPECT_EQ(refused.error.code, code) << line;
    EXPECT_EQ(refused.id, id) << line;
    EXPECT_THAT(refused.error.what(), HasSubstr(text)) << line;
  };
  for (const char* line : {"", "{", "}", "nul", "{\"a\":}", "{'a':1}", "{}{}", "{} x", "{\"id\":01}",
                           "{\"a\":1,}", "{\"id\":1e999}", "\"\t\""}) {
    expect(line, ErrorCode::kParse, nullptr, "not valid JSON");
  }
  expect("[]", ErrorCode::kInvalidRequest, nullptr, "batches");
  expect(R"([{"jsonrpc":"2.0","id":1,"method":"server.ping"}])", ErrorCode::kInvalidRequest, nullptr,
         "batches");
  for (const char* line : {"1", "null", "true", "\"text\""}) {
    expect(line, ErrorCode::kInvalidRequest, nullptr, "not a JSON object");
  }
  expect(R"({"id":4,"method":"m"})", ErrorCode::kInvalidRequest, 4, "jsonrpc");
  expect(R"({"jsonrpc":2.0,"id":4,"method":"m"})", ErrorCode::kInvalidRequest, 4, "jsonrpc");
  expect(R"({"jsonrpc":"2.0","id":4})", ErrorCode::kInvalidRequest, 4, "method");
  expect(R"({"jsonrpc":"2.0","id":4,"method":["m"]})", ErrorCode::kInvalidRequest, 4, "method");
  for (const char* params : {"[]", "[1]", "null", "\"x\"", "3", "false"}) {
    expect(with_params(params), ErrorCode::kInvalidParams, 1, "params");
  }
  std::string objects;
  for (int i = 0; i < 500'000; ++i) objects += "{\"a\":";
  expect(objects, ErrorCode::kParse, nullptr, "64");
}

TEST(Requests, MayNotHoldANul) {
  const std::string request = with_params("{}");
  const std::string nul(1, '\0');
  // The JSON library takes it for the end: the rest must not be ignored.
  for (const std::string& line : {request + nul, request + nul + "garbage", nul + request, nul,
                                  with_params("{\"x\":\"a" + nul + "b\"}")}) {
    EXPECT_EQ(bad(line).error.code, ErrorCode::kParse);
  }
  EXPECT_EQ(good(with_params(R"({"x":"a\u0000b"})")).params["x"], std::string("a\0b", 3));
}

TEST(Requests, AreUtf8) {
  for (const char* bytes : {"\xff", "\x80", "\xc3", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80",
                            "\xf4\x90\x80\x80", "\\ud800", "\\ud800x", "\\udc00"}) {
    const BadRequest refused = bad(with_params("{\"x\":\"SECRET" + std::string(bytes) + "\"}"));
    EXPECT_EQ(refused.error.code, ErrorCode::kParse);
    // A document's text does not appear in errors, so it does not appear in logs.
    EXPECT_THAT(refused.error.what(), Not(HasSubstr("SECRET")));
  }
  EXPECT_EQ(good(with_params("{\"x\":\"\xf0\x9f\x99\x82 \xc3\xa9\"}")).params["x"],
            "\xf0\x9f\x99\x82 \xc3\xa9");
}

TEST(Requests, WithHalfACharacterAreRefusedByTheirId) {
  const auto refused = [](const std::string& line) { return bad(line); };
  for (const char* half :
       {R"(\ud800)", R"(\uDFFF)", R"(\ud800\ud800\udc00)", R"(\udc00\ud800)", R"(\\\ud83d)", R"(\ud800\n)"}) {
    for (const std::string& line :
         {R"({"jsonrpc":"2.0","id":5,"method":"document.open","params":{"text":"abc )" + std::string(half) +
              R"( def"}})",
          R"({"params":{"text":"abc )" + std::string(half) +
              R"( def"},"method":"document.open","jsonrpc":"2.0","id":5})"}) {
      const BadRequest request = refused(line);
      EXPECT_EQ(request.id, 5) << line;
      EXPECT_EQ(request.error.code, ErrorCode::kParse);
      EXPECT_THAT(request.error.what(), HasSubstr("surrogate")) << line;
    }
  }
  EXPECT_EQ(good(with_params(R"({"x":"\ud83d\ude42"})")).params["x"], "\xf0\x9f\x99\x82");
  EXPECT_EQ(good(with_params(R"({"x":"\\ud800"})")).params["x"], "\\ud800");
}

TEST(Requests, ThatAreBrokenAreRefusedByTheirIdIfItComesFirst) {
  const std::string begin = R"({"jsonrpc":"2.0","id":"seven","method":"document.open","params":{"text":"abc)";
  for (const std::string& rest : {std::string("\xff\"}}"), std::string("\\x\"}}"), std::string("\x01\"}}"),
                                  std::string("\",}}"), std::string("\"}")}) {
    EXPECT_EQ(bad(begin + rest).id, "seven") << rest;
  }
  // Not that of a nested value.
  EXPECT_EQ(bad(R"({"jsonrpc":"2.0","params":{"id":3},"x":[{"id":4}],)").id, nullptr);
}

TEST(Requests, MayHoldManyValuesButNotMillions) {
  const auto list = [](std::size_t count) {
    std::string text = "0";
    for (std::size_t i = 1; i < count; ++i) text += ",0";
    return with_params("{\"x\":[" + text + "]}");
  };
  EXPECT_EQ(good(list(9000)).params["x"].size(), 9000u);
  const BadRequest refused = bad(list(100'000));
  EXPECT_EQ(refused.error.code, ErrorCode::kParse);
  EXPECT_THAT(refused.error.what(), HasSubstr("10000"));
}

TEST(Messages, AreOneLineEach) {
  const std::string nasty = "a\nb\r\xff\xe2\x82";
  for (const std::string& line :
       {error_line(nasty, {ErrorCode::kParse, nasty}), result_line(1, nasty),
        request_line(1, nasty, {{nasty, nasty}}), notification_line(nasty, {{"x", nasty}}),
        output_line(nasty, {0, nasty, "1"})}) {
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_NO_THROW(parse_json(line)) << line;
  }
}

TEST(Messages, ThatAreNoneAreRefused) {
  for (const char* line : {"", "[]", "1", "{}", "{\"id\":1}", "{\"method\":1}", "{\"result\":"}) {
    try {
      parse_message(line);
      ADD_FAILURE() << "taken: " << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kParse) << line;
    }
  }
  EXPECT_EQ(error_from_json(json::array()).code, ErrorCode::kInternal);
  EXPECT_EQ(error_from_json({{"code", "x"}, {"message", 1}}).code, ErrorCode::kInternal);
  for (const char* damaged : {"[]", "1", "{}", R"({"document":1})", R"({"document":"d","bytes":"x"})"}) {
    EXPECT_THROW(status_from_json(json::parse(damaged)), Error) << damaged;
  }
}

TEST(Messages, ErrorsAreCut) {
  const std::string line = error_line(1, {ErrorCode::kDocumentUnknown, std::string(kMaxLineBytes, 'x')});
  EXPECT_LT(line.size(), 2 * kMaxErrorBytes);
}

TEST(SocketPaths, HaveALimit) {
  EXPECT_NO_THROW(check_socket_path(std::string(kMaxSocketPathBytes, 's')));
  EXPECT_THROW(check_socket_path(std::string(kMaxSocketPathBytes + 1, 's')), Error);
  EXPECT_THROW(check_socket_path(""), Error);
}

TEST(ErrorTable, HasEveryCodeOnce) {
  std::set<int> codes;
  std::set<std::string_view> names;
  for (const ErrorEntry& entry : error_table()) {
    EXPECT_TRUE(codes.insert(static_cast<int>(entry.code)).second);
    EXPECT_TRUE(names.insert(entry.name).second);
    EXPECT_EQ(&error_entry(entry.code), &entry);
  }
  for (int code = static_cast<int>(ErrorCode::kDocumentUnknown);
       code >= static_cast<int>(ErrorCode::kPeerGone); --code) {
    EXPECT_TRUE(codes.contains(code)) << code;
  }
  EXPECT_EQ(error_entry(static_cast<ErrorCode>(5)).code, ErrorCode::kInternal);
}

TEST(Manual, HasEveryMethod) {
  std::ostringstream file;
  file << std::ifstream(UNROLL_SOURCE_DIR "/docs/protocol.md").rdbuf();
  const std::string text = file.str();
  std::set<std::string> documented, coded;
  const std::regex heading("\n### ((document|server|rpc)\\.[a-z]+)\n");
  for (std::sregex_iterator found(text.begin(), text.end(), heading), end; found != end; ++found) {
    documented.insert((*found)[1]);
  }
  for (const auto name : {method::kOpen, method::kAppend, method::kEnd, method::kStatus, method::kList,
                          method::kCancel, method::kDelete, method::kAttach, method::kInfo, method::kStats,
                          method::kReload, method::kPing, method::kDiscover}) {
    coded.insert(std::string(name));
  }
  EXPECT_EQ(documented, coded);
}

}  // namespace
}  // namespace unroll
