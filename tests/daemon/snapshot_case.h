// Snapshots of a daemon, and what is read after them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/unique_fd.h"
#include "tests/daemon/daemon_case.h"

namespace unroll::test {

/// Start, end and surprise of each token.
using Tokens = std::vector<json>;

/// Of score's outputs, as JSON.
inline Tokens tokens_of(const std::vector<std::string>& data) {
  Tokens tokens;
  for (const auto& text : data) {
    const auto said = json::parse(text);
    for (std::size_t i = 0; said.value("type", "") == "tokens" && i < said["start"].size(); ++i)
      tokens.push_back({said["start"][i], said["end"][i], said["nats"][i]});
  }
  return tokens;
}

/// To write a snapshot's file to.
inline UniqueFd empty_file() {
  return UniqueFd(::memfd_create("file", MFD_CLOEXEC));
}

inline std::string content_of(int file) {
  std::string bytes(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

class SnapshotCase : public DaemonCase {
 protected:
  void SetUp() override {
    DaemonCase::SetUp();
    for (const auto& name : names()) call("snapshot.delete", {{"name", name}});
  }
  static json call(const std::string& method, const json& params, const std::vector<int>& descriptors = {}) {
    return Peer(socket()).call(method, params, descriptors);
  }
  static json result(const std::string& method, const json& params,
                     const std::vector<int>& descriptors = {}) {
    const auto answer = call(method, params, descriptors);
    EXPECT_TRUE(answer.contains("result")) << method << ": " << answer;
    return answer.value("result", json());
  }
  static json error(const std::string& method, const json& params) {
    const auto answer = call(method, params);
    EXPECT_TRUE(answer.contains("error")) << method << ": " << answer;
    return answer.value("error", json{{"message", ""}, {"data", {{"name", ""}}}});
  }
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    const auto list = result("snapshot.list", json::object());
    for (const auto& snapshot : list["snapshots"]) names.push_back(snapshot["name"]);
    return names;
  }
  static json make(const std::string& text, const std::string& name) {
    return result("snapshot.create", {{"text", text}, {"name", name}});
  }
  /// As `more`, or from its beginning.
  static Tokens read(const std::string& text, json more = json::object()) {
    Peer peer(socket());
    json request = {{"plugins", scored("token")}, {"text", text}};
    request.update(more);
    const auto answer = peer.call("document.open", request);
    EXPECT_TRUE(answer.contains("result")) << answer;
    const auto read = peer.read_document(answer.at("result").at("document"));
    EXPECT_EQ(read.end["method"], "document.done") << read.end;
    std::vector<std::string> data;
    for (const auto& output : read.outputs) data.push_back(output.substr(output.find('{')));
    return tokens_of(data);
  }
  /// Those of one document that have bytes from `begin` on, with offsets that count from there.
  static Tokens from(const Tokens& all, std::uint64_t begin) {
    Tokens tokens;
    for (auto token : all) {
      const std::uint64_t start = token[0], end = token[1];
      if (end <= begin) continue;
      token[0] = std::max(start, begin) - begin;
      token[1] = end - begin;
      tokens.push_back(token);
    }
    return tokens;
  }
  static std::string exported(const std::string& name) {
    const UniqueFd file = empty_file();
    const auto written = result("snapshot.export", {{"name", name}, {"fd", true}}, {file.get()});
    const auto bytes = content_of(file.get());
    EXPECT_EQ(written.value("bytes", std::size_t{0}), bytes.size());
    return bytes;
  }
  static json imported(const std::string& file, const std::string& name) {
    Peer peer(socket());
    const auto half = file.size() / 2;
    const auto first = peer.call(
        "snapshot.import", {{"name", name}, {"base64", base64_encode(file.substr(0, half))}, {"more", true}});
    EXPECT_EQ(first["result"]["bytes"], half) << first;
    return peer.call("snapshot.import", {{"name", name}, {"base64", base64_encode(file.substr(half))}});
  }
};

}  // namespace unroll::test
