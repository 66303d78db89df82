// Compares rpc.discover's answer with the daemon's behaviour.
#include <set>

#include "tests/daemon/snapshot_case.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;

class Discover : public DaemonCase {
 protected:
  void SetUp() override {
    DaemonCase::SetUp();
    peer_.emplace(socket());
    description_ = peer_->call("rpc.discover", json::object())["result"];
  }
  const json& resolved(const json& schema) const {
    if (!schema.contains("$ref")) return schema;
    return description_.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1)));
  }
  const json& method(const std::string& name) const {
    for (const json& entry : description_.at("methods")) {
      if (entry["name"] == name) return entry;
    }
    throw std::runtime_error("no method " + name);
  }
  /// The subset of JSON Schema that the description uses.
  void expect_valid(const json& value, const json& reference, const std::string& where) const {
    const json& schema = resolved(reference);
    if (schema.contains("enum")) {
      EXPECT_THAT(schema["enum"], testing::Contains(value)) << where;
      return;
    }
    const std::string type = schema.at("type");
    if (type == "object") return expect_valid_object(value, schema, where);
    if (type == "array") {
      ASSERT_TRUE(value.is_array()) << where;
      for (const json& element : value) expect_valid(element, schema["items"], where + "[]");
    } else if (type == "boolean") {
      EXPECT_TRUE(value.is_boolean()) << where;
    } else if (type == "string") {
      EXPECT_TRUE(value.is_string()) << where;
    } else {
      EXPECT_TRUE(type == "integer" ? value.is_number_integer() : value.is_number()) << where;
      if (schema.contains("minimum")) {
        EXPECT_GE(value.get<double>(), schema["minimum"].get<double>()) << where;
      }
    }
  }
  void expect_valid_object(const json& value, const json& schema, const std::string& where) const {
    ASSERT_TRUE(value.is_object()) << where;
    for (const json& name : schema.value("required", json::array()))
      EXPECT_TRUE(value.contains(name)) << where << name;
    const json& more = schema.contains("additionalProperties") ? schema["additionalProperties"] : json(true);
    for (const auto& [name, inner] : value.items()) {
      if (schema.contains("properties") && schema["properties"].contains(name)) {
        expect_valid(inner, schema["properties"][name], where + '.' + name);
      } else if (more.is_object()) {
        expect_valid(inner, more, where + '.' + name);
      } else {
        EXPECT_TRUE(more.get<bool>()) << where << " has '" << name << "', which is not described";
      }
    }
  }
  void expect_described(const std::string& name, const json& answer) const {
    ASSERT_TRUE(answer.contains("result")) << name << ": " << answer;
    expect_valid(answer["result"], method(name)["result"]["schema"], name);
  }

  std::optional<Peer> peer_;
  json description_;
};

TEST_F(Discover, NamesTheMethodsThatThereAre) {
  std::string names;
  for (const json& entry : description_["methods"])
    names += (names.empty() ? "" : ", ") + entry["name"].get<std::string>();
  const auto answer = peer_->call("no.such", json::object());
  EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr("known: " + names));
}

TEST_F(Discover, NamesTheParametersThatThereAre) {
  const std::string id = peer_->call("document.open", text_request("hello\n"))["result"]["document"];
  for (const json& entry : description_["methods"]) {
    const std::string name = entry["name"];
    // A value of no parameter's type: if the parameter is known, it is refused by name, otherwise as unknown.
    for (const json& param : entry["params"]) {
      json params = {{param["name"], {{"no", "type"}}}};
      const bool of_snapshot = name.starts_with("snapshot.");
      const bool opens = name == "document.open" || name == "document.open_many";
      if (!opens && name != "document.list" && param["name"] != "document" && !of_snapshot)
        params["document"] = id;
      if (of_snapshot && param["name"] != "name") params["name"] = "a";
      if (name == "snapshot.import" && param["name"] != "base64") params["base64"] = "";
      const bool is_source = param["name"] == "text" || param["name"] == "fd" || param["name"] == "stream";
      if (opens && param["name"] != "plugins") params["plugins"] = scored();
      if (name == "document.open_many" && param["name"] != "texts") params["texts"] = {"hello\n"};
      if (name == "document.open" && !is_source) params["text"] = "hello\n";
      const auto answer = peer_->call(name, params);
      EXPECT_EQ(answer["error"]["data"]["name"], "invalid_params") << name << param["name"];
      const std::string text = answer["error"]["message"];
      EXPECT_THAT(text, HasSubstr(param["name"].get<std::string>()));
      EXPECT_THAT(text, testing::Not(HasSubstr("no parameter"))) << name;
    }
    if (entry["params"].empty() || !entry["params"][0]["required"]) continue;
    EXPECT_EQ(peer_->call(name, json::object())["error"]["data"]["name"], "invalid_params") << name;
  }
}

TEST_F(Discover, DescribesTheResults) {
  const auto opened = peer_->call("document.open", {{"plugins", scored()}, {"stream", true}});
  expect_described("document.open", opened);
  const json document = {{"document", opened["result"]["document"]}};
  json bytes = document;
  bytes["text"] = "hello\n";
  expect_described("document.append", peer_->call("document.append", bytes));
  expect_described("document.status", peer_->call("document.status", document));
  expect_described("document.end", peer_->call("document.end", document));
  expect_described("document.attach", peer_->call("document.attach", document));
  expect_described("document.cancel", peer_->call("document.cancel", document));
  peer_->read_document(document["document"]);
  const auto done =
      peer_->call("document.open", {{"plugins", scored()}, {"text", "hello\n"}})["result"]["document"];
  peer_->read_document(done);
  const auto many = peer_->call("document.open_many", {{"plugins", scored()}, {"texts", {"a\n", "b\n"}}});
  expect_described("document.open_many", many);
  peer_->read_documents(2);
  expect_described("document.delete", peer_->call("document.delete", {{"document", done}}));
  expect_described("snapshot.create", peer_->call("snapshot.create", {{"text", "hello\n"}, {"name", "a"}}));
  expect_described("snapshot.list", peer_->call("snapshot.list", json::object()));
  const UniqueFd file = empty_file();
  expect_described("snapshot.export",
                   peer_->call("snapshot.export", {{"name", "a"}, {"fd", true}}, {file.get()}));
  const auto content = base64_encode(content_of(file.get()));
  expect_described("snapshot.import",
                   peer_->call("snapshot.import", {{"base64", content}, {"expires_s", 60}}));
  expect_described("snapshot.delete", peer_->call("snapshot.delete", {{"name", "a"}}));
  for (const char* name :
       {"document.list", "server.info", "server.stats", "server.reload", "server.ping", "rpc.discover"}) {
    expect_described(name, peer_->call(name, json::object()));
  }
}

}  // namespace
}  // namespace unroll::test
