#include "config/config.h"

#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::string read_file(const fs::path& file) {
  std::ifstream stream(file);
  return (std::ostringstream() << stream.rdbuf()).str();
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kInvalidParams);
    return error.what();
  }
  return "no error";
}

std::string error_of(const json& value) {
  return error_of([&] {
    Config config;
    apply_config(value, config);
  });
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Environment() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(Config, PrintedDefaultsReadBackAsThemselves) {
  Config config;
  config.max_documents = 1;
  config.device = "cuda";
  apply_config(json::parse(print_config(Config{})), config);
  EXPECT_EQ(config, Config{});
}

TEST(Config, EveryKeyIsSetByItsName) {
  std::set<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name << " occurs twice";
    EXPECT_FALSE(key.description.empty()) << key.name;
    Config config;
    if (const auto* member = std::get_if<std::int64_t Config::*>(&key.member)) {
      EXPECT_LE(key.minimum, config.**member) << key.name;
      EXPECT_GE(key.maximum, config.**member) << key.name;
      set_config_value(key.name, std::to_string(key.minimum + 1), config);
      EXPECT_EQ(config.**member, key.minimum + 1) << key.name;
    } else if (const auto* list = std::get_if<std::vector<ModelEntry> Config::*>(&key.member)) {
      apply_config(json{{key.name, {"/m"}}}, config);
      EXPECT_EQ(config.**list, std::vector<ModelEntry>(1, {"", "/m", "", ""})) << key.name;
    } else {
      const std::string value = !key.choices.empty() ? std::string(key.choices.back()) : "0660";
      set_config_value(key.name, value, config);
      EXPECT_EQ(config.*std::get<std::string Config::*>(key.member), value) << key.name;
    }
    EXPECT_NE(config, Config{}) << key.name << " changed nothing";
  }
}

TEST(Config, UnknownKeysNameTheNearest) {
  EXPECT_THAT(error_of(json{{"limits", {{"documets", 5}}}}),
              AllOf(HasSubstr("'limits.documets'"), HasSubstr("'limits.documents'")));
  EXPECT_THAT(error_of(json{{"log_levle", "info"}}),
              AllOf(HasSubstr("'log_levle'"), HasSubstr("'log_level'")));
  EXPECT_THAT(error_of(json{{"modle", {{"device", "cpu"}}}}), HasSubstr("unknown configuration key 'modle'"));
}

TEST(Config, WrongValuesNameTheKeyAndWhatIsAllowed) {
  EXPECT_THAT(error_of(json{{"limits", {{"documents", "many"}}}}),
              AllOf(HasSubstr("'limits.documents'"), HasSubstr("integer from 1")));
  EXPECT_THAT(error_of(json{{"limits", {{"documents", 0}}}}), HasSubstr("integer from 1"));
  EXPECT_THAT(error_of(json{{"limits", {{"documents", 18446744073709551615ull}}}}),
              HasSubstr("integer from 1"));
  EXPECT_THAT(error_of(json{{"limits", {{"documents", 1.5}}}}), HasSubstr("integer from 1"));
  EXPECT_THAT(error_of(json{{"limits", 5}}), HasSubstr("'limits' must be an object"));
  EXPECT_THAT(error_of(json{{"log_level", "loud"}}),
              AllOf(HasSubstr("'loud'"), HasSubstr("trace, debug, info")));
  EXPECT_THAT(error_of(json{{"socket", {{"mode", "rwx"}}}}), HasSubstr("octal"));
  EXPECT_THAT(error_of(json{{"socket", {{"mode", "7777"}}}}), HasSubstr("octal"));
  EXPECT_THAT(error_of(json::array()), HasSubstr("must be a JSON object"));
}

TEST(Config, ModelsAreAListOfPathsAndObjects) {
  Config config;
  apply_config(json::parse(R"({"models": ["a", {"path": "/m/b.gguf"},
    {"name": "c", "path": "/m/c", "settings": "block_width=64", "dtype": "bf16"}], "model": {"dtype": "fp32"}})"),
               config);
  Config again;
  apply_config(json::parse(print_config(config)), again);
  EXPECT_EQ(again, config);
  config.journal_path = ":memory:";
  config.model_settings = "memory_blocks=2";
  resolve_defaults(config);
  EXPECT_EQ(config.models, (std::vector<ModelEntry>{{"a", "a", "memory_blocks=2", "fp32"},
                                                    {"b", "/m/b.gguf", "memory_blocks=2", "fp32"},
                                                    {"c", "/m/c", "block_width=64", "bf16"}}));
  for (const auto& wrong :
       {json("a"), json::array({5}), json::array({json::object()}), json::array({{{"path", 5}}}),
        json::array({{{"path", "a"}, {"threads", "2"}}}), json::array({""})}) {
    EXPECT_THAT(error_of(json{{"models", wrong}}), AllOf(HasSubstr("'models'"), HasSubstr("list"))) << wrong;
  }
  EXPECT_THAT(error_of(json{{"models", {{{"path", "a"}, {"dtype", "fp8"}}}}}), HasSubstr("'fp8'"));
}

TEST(Config, TheModelThatIsChosenIsTheFirst) {
  const Environment environment("UNROLL_MODEL", "/models/x");
  const auto names = [](std::vector<ModelEntry> models, const std::string& chosen) {
    Config config;
    config.journal_path = ":memory:";
    config.models = std::move(models);
    config.model_directory = chosen;
    resolve_defaults(config);
    std::string text;
    for (const auto& model : config.models) text += model.name + "=" + model.path + " ";
    return text;
  };
  const std::vector<ModelEntry> two = {{"", "/m/a", "", ""}, {"b", "/m/b", "", ""}};
  EXPECT_EQ(names({}, ""), "x=/models/x ");
  EXPECT_EQ(names({}, "/m/y.gguf"), "y=/m/y.gguf ");
  EXPECT_EQ(names(two, ""), "a=/m/a b=/m/b ");
  EXPECT_EQ(names(two, "b"), "b=/m/b a=/m/a ");
  EXPECT_EQ(names(two, "/m/c/"), "c=/m/c/ a=/m/a b=/m/b ");
  EXPECT_THAT(error_of([&] { names(two, "/other/b"); }), AllOf(HasSubstr("'b'"), HasSubstr("twice")));
  EXPECT_THAT(error_of([&] { names({{"a/b", "/m/a", "", ""}}, ""); }), HasSubstr("'a/b'"));
}

TEST(Config, FilesAreNamedInErrors) {
  const fs::path file = fs::path(testing::TempDir()) / "unroll_config_test.json";
  const auto load = [&](const std::string& text) {
    std::ofstream(file) << text;
    return error_of([&] { load_config(file); });
  };
  EXPECT_THAT(load("{\"limits\":"), AllOf(HasSubstr(file.string()), HasSubstr("not valid JSON")));
  EXPECT_THAT(load("{\"nothing\": 1}"), AllOf(HasSubstr(file.string()), HasSubstr("'nothing'")));
  EXPECT_EQ(load("{\n// why\n\"drain_ms\": 5}"), "no error");
  EXPECT_EQ(load_config(file).drain_ms, 5);
  fs::remove(file);
  EXPECT_THAT(error_of([&] { load_config(file); }), HasSubstr("cannot be opened"));
  EXPECT_THAT(error_of([&] { load_config(testing::TempDir()); }), HasSubstr("is a folder"));
}

TEST(Config, PathsDefaultAsDocumented) {
  const Environment model("UNROLL_MODEL", "/models/x"), state("STATE_DIRECTORY", "/var/lib/unroll:/other");
  EXPECT_EQ(default_model_directory(), "/models/x");
  EXPECT_EQ(default_journal_path(), "/var/lib/unroll/unroll.journal");
  const Environment no_state("STATE_DIRECTORY", nullptr), xdg("XDG_STATE_HOME", "/s");
  EXPECT_EQ(default_journal_path(), "/s/unroll/unroll.journal");
  const Environment no_xdg("XDG_STATE_HOME", nullptr), home("HOME", "/home/u");
  EXPECT_EQ(default_journal_path(), "/home/u/.local/state/unroll/unroll.journal");
  EXPECT_EQ(arithmetic_file(default_journal_path()), "/home/u/.local/state/unroll/unroll.journal.arithmetic");
  EXPECT_EQ(arithmetic_file(":memory:"), "");
}

// To regenerate them: `unrolld --print-config > config/unrolld.json; unrolld --describe-config >
// docs/configuration.md`.
TEST(Config, ShippedFilesAreThoseOfTheTable) {
  EXPECT_EQ(read_file(fs::path(UNROLL_SOURCE_DIR) / "config/unrolld.json"), print_config(Config{}));
  EXPECT_EQ(read_file(fs::path(UNROLL_SOURCE_DIR) / "docs/configuration.md"), describe_config());
}

}  // namespace
}  // namespace unroll
