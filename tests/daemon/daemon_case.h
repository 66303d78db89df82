// A daemon with a tiny model for each test, and common requests.
#pragma once

#include <csignal>
#include <fstream>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/client/fixture.h"
#include "tests/daemon/peer.h"

namespace unroll::test {

using nlohmann::json;

class DaemonCase : public testing::Test {
 protected:
  DaemonCase() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_tiny_model(*folder_ / "model");
  }
  ~DaemonCase() override {
    process_.reset();
    folder_.reset();
  }
  void SetUp() override { start(); }
  void TearDown() override { process_.reset(); }

  /// Restarts the daemon with these settings over the defaults; the journal stays.
  void start(const json& settings = json::object(),
             const std::map<std::string, std::string>& environment = {}) {
    process_.reset();
    write_file(*folder_ / "settings.json", settings.dump());
    process_ = std::make_unique<Process>(
        std::vector<std::string>{program("unrolld").string(), "--config",
                                 (*folder_ / "settings.json").string(), "--socket", socket(), "--model",
                                 (*folder_ / "model").string(), "--journal", (*folder_ / "journal").string()},
        *folder_ / "log", environment);
    for (int tries = 0;; ++tries) {
      try {
        if (Peer(socket()).call("server.ping", json::object()).contains("result")) return;
      } catch (const std::runtime_error&) {
        if (tries == 1500 || !process_->running()) {
          throw std::runtime_error("unrolld did not come up: " + read_file(*folder_ / "log"));
        }
      }
      ::poll(nullptr, 0, 20);  // between two tries to connect
    }
  }
  /// The processes that hold clients' descriptors.
  std::vector<pid_t> source_readers() {
    std::vector<pid_t> found;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process().pid()) + "/task")) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) {
        if (read_file("/proc/" + std::to_string(child) + "/comm").starts_with("unroll-source"))
          found.push_back(child);
      }
    }
    return found;
  }
  static std::size_t descriptors_of(pid_t process) {
    const std::filesystem::directory_iterator folder("/proc/" + std::to_string(process) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
  }
  /// Those of them that are this file.
  static std::size_t descriptors_of(pid_t process, const std::string& path) {
    std::size_t count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) == path) ++count;
    }
    return count;
  }
  static std::string socket() { return (*folder_ / "s").string(); }
  static std::string log() { return read_file(*folder_ / "log"); }
  Process& process() { return *process_; }

  static json scored(const std::string& granularity = "line") {
    return json::array({{{"name", "score"}, {"options", {{"granularity", granularity}}}}});
  }
  static json text_request(const std::string& text) { return {{"plugins", scored()}, {"text", text}}; }

  /// Reads a text document over a connection of its own.
  static Peer::Document read_text(const std::string& text) {
    Peer peer(socket());
    const auto answer = peer.call("document.open", text_request(text));
    return peer.read_document(answer.at("result").at("document"));
  }
  static std::string some_text(std::size_t lines) {
    std::string text;
    for (std::size_t i = 0; i < lines; ++i)
      text +=
          "line " + std::to_string(i * 7919 % 1000) + (i % 3 == 0 ? " of the größer whale\n" : " is here\n");
    return text;
  }

  static std::unique_ptr<TemporaryFolder> folder_;

 private:
  std::unique_ptr<Process> process_;
};
inline std::unique_ptr<TemporaryFolder> DaemonCase::folder_;

}  // namespace unroll::test
