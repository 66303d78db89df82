#include "engine/snapshot_file.h"

#include <algorithm>
#include <cstdint>
#include <span>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/strict_json.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kDigestBytes = 32, kNumberBytes = 4;
constexpr std::size_t kHeadBytes = kSnapshotFileMagic.size() + 2 * kNumberBytes;
constexpr int kMaxDepth = 70;  // a plugin's options may have as many levels as a line of the protocol
constexpr std::size_t kMaxValues = 100'000;
constexpr std::uint64_t kMaxOffset = std::uint64_t{1} << 62;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::kInvalidParams, "the snapshot's file cannot be used: " + what);
}

[[noreturn]] void refuse_damaged(const std::string& what) {
  refuse(what + "; export the snapshot again, or make it again");
}

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string number_text(std::uint32_t value) {
  std::string text;
  for (std::size_t i = 0; i < kNumberBytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::uint32_t number_at(std::string_view text, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i)
    value |= std::uint32_t{static_cast<std::uint8_t>(text[at + i])} << (8 * i);
  return value;
}

json header_of(const Snapshot& snapshot) {
  const auto& info = snapshot.info;
  const auto& point = snapshot.point;
  json plugins = json::array(), begins = json::array(), states = json::array();
  for (const auto& plugin : info.plugins)
    plugins.push_back({{"name", plugin.name}, {"options", plugin.options}});
  for (const auto& begin : snapshot.begins)
    begins.push_back({{"bytes", begin.bytes}, {"plugins", begin.plugins}});
  for (const auto& [name, state] : point.plugin_states)
    states.push_back({{"plugin", name}, {"bytes", state.size()}});
  return {{"name", info.name},
          {"model", info.model},
          {"checkpoint", info.checkpoint},
          {"plugins", std::move(plugins)},
          {"bytes", info.bytes},
          {"sha256", digest_text(info.sha256)},
          {"created", info.created},
          {"plugin_begin", snapshot.plugin_begin},
          {"begins", std::move(begins)},
          {"point",
           {{"segment_begin", point.segment_begin},
            {"block_begin", point.block_begin},
            {"blocks", point.blocks},
            {"bytes", point.bytes},
            {"tokens", point.tokens},
            {"sequence", point.sequence},
            {"prefix", base64_encode(text_of(point.prefix))}}},
          {"tail_bytes", snapshot.tail.size()},
          {"model_bytes", point.model_state.size()},
          {"states", std::move(states)}};
}

std::uint64_t number(const json& object, const char* name) {
  const auto& value = object.at(name);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaxOffset)
    refuse_damaged(std::string("its header's '") + name + "' is not a number");
  return value.get<std::uint64_t>();
}

ResumePoint point_of(const json& header) {
  ResumePoint point;
  point.stored = true;
  point.segment_begin = number(header, "segment_begin");
  point.block_begin = number(header, "block_begin");
  point.blocks = number(header, "blocks");
  point.bytes = number(header, "bytes");
  point.tokens = number(header, "tokens");
  point.sequence = number(header, "sequence");
  const auto prefix = base64_decode(header.at("prefix").get_ref<const std::string&>());
  if (!prefix) refuse_damaged("its header's 'prefix' is not base64");
  point.prefix = bytes_of(*prefix);
  return point;
}

/// All but the states.
Snapshot snapshot_of(const json& header) {
  Snapshot snapshot;
  auto& info = snapshot.info;
  header.at("name").get_to(info.name);
  header.at("model").get_to(info.model);
  header.at("checkpoint").get_to(info.checkpoint);
  for (const auto& plugin : header.at("plugins"))
    info.plugins.push_back({plugin.at("name").get<std::string>(), plugin.at("options")});
  info.bytes = number(header, "bytes");
  info.created = static_cast<std::int64_t>(number(header, "created"));
  snapshot.plugin_begin = number(header, "plugin_begin");
  for (const auto& begin : header.at("begins"))
    snapshot.begins.push_back({number(begin, "bytes"), begin.at("plugins").get<std::vector<std::string>>()});
  snapshot.point = point_of(header.at("point"));
  return snapshot;
}

/// Sets the digest of the bytes that were read, which the header has, too.
void check_digest(Snapshot& snapshot, const std::string& expected) {
  Sha256 digest;
  if (snapshot.point.segment_begin > 0) {
    const auto prefix = Sha256::load(snapshot.point.prefix);
    if (!prefix) refuse_damaged("its header's 'prefix' is not the digest of bytes");
    digest = *prefix;
  }
  digest.add(snapshot.tail);
  snapshot.info.sha256 = digest.digest();
  if (digest_text(snapshot.info.sha256) != expected)
    refuse_damaged("its last bytes are not those of the document that was read");
}

/// Takes the states from the bytes after the header.
void take_states(const json& header, std::string_view bytes, Snapshot& snapshot) {
  const auto take = [&](std::uint64_t count) {
    if (count > bytes.size()) refuse_damaged("it ends too early");
    const auto taken = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return taken;
  };
  snapshot.tail = take(number(header, "tail_bytes"));
  snapshot.point.model_state = bytes_of(take(number(header, "model_bytes")));
  for (const auto& state : header.at("states")) {
    snapshot.point.plugin_states[state.at("plugin").get<std::string>()] =
        bytes_of(take(number(state, "bytes")));
  }
  if (!bytes.empty()) refuse_damaged("it has bytes after its states");
}

std::string digest_of(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes);
  return std::string(text_of(digest.digest()));
}

}  // namespace

std::string write_snapshot_file(const Snapshot& snapshot) {
  const auto header = header_of(snapshot).dump();
  std::string file(kSnapshotFileMagic);
  file += number_text(kVersion) + number_text(static_cast<std::uint32_t>(header.size())) + header;
  file += snapshot.tail;
  file += text_of(snapshot.point.model_state);
  for (const auto& [name, state] : snapshot.point.plugin_states) file += text_of(state);
  return file += digest_of(file);
}

Snapshot read_snapshot_file(std::string_view file) {
  if (!file.starts_with(kSnapshotFileMagic)) refuse("it is no file of a snapshot");
  if (file.size() < kHeadBytes + kDigestBytes) refuse_damaged("it ends too early");
  const auto version = number_at(file, kSnapshotFileMagic.size());
  if (version != kVersion) {
    refuse("it has version " + std::to_string(version) + ", and this program reads version " +
           std::to_string(kVersion) + "; use the program that wrote it, or make the snapshot again");
  }
  const auto body = file.substr(0, file.size() - kDigestBytes);
  if (digest_of(body) != file.substr(body.size())) refuse_damaged("its bytes have changed");
  const std::size_t length = number_at(file, kSnapshotFileMagic.size() + kNumberBytes);
  if (length > body.size() - kHeadBytes) refuse_damaged("it ends in its header");
  try {
    const auto header =
        parse_strict_json(body.substr(kHeadBytes, length), {.depth = kMaxDepth, .values = kMaxValues});
    auto snapshot = snapshot_of(header);
    take_states(header, body.substr(kHeadBytes + length), snapshot);
    if (!offsets_agree(snapshot)) refuse_damaged("its header's offsets contradict each other");
    check_digest(snapshot, header.at("sha256").get_ref<const std::string&>());
    return snapshot;
  } catch (const JsonError& error) {
    refuse_damaged(std::string("its header is not JSON: ") + error.what());
  } catch (const json::exception& error) {
    refuse_damaged(std::string("its header is incomplete: ") + error.what());
  }
}

std::string model_of_snapshot_file(std::string_view file) {
  return read_snapshot_file(file).info.model;
}

}  // namespace unroll
