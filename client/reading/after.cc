#include "client/reading/after.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "base/sha256.h"
#include "client/cli/command_error.h"
#include "client/reading/read_document.h"
#include "client/reading/snapshot_cache.h"
#include "client/sources/log_text.h"
#include "engine/snapshot_file.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

/// How long a reader keeps what a command went on from; and how much of that must be left for another one.
constexpr std::chrono::seconds kKept{3600}, kLeft{300};
constexpr std::size_t kKeyDigits = 32, kReadBytes = 1 << 20;

std::string key_of(const Sha256& digest) {
  return digest_text(digest.digest()).substr(0, kKeyDigits);
}

Sha256 digest_of_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  Sha256 digest;
  std::string bytes(kReadBytes, '\0');
  do {
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    digest.add(std::string_view(bytes).substr(0, static_cast<std::size_t>(stream.gcount())));
  } while (stream);
  if (!stream.eof()) throw CommandError(system_message("cannot read " + path, errno));
  return digest;
}

/// Whether the reader has it, for at least so long.
bool has(Reader& reader, const std::string& name, std::chrono::seconds left) {
  const auto known = reader.snapshots();
  const auto found = std::ranges::find(known, name, &SnapshotInfo::name);
  return found != known.end() && (!found->expires || *found->expires > std::time(nullptr) + left.count());
}

/// Of what the reader has for a while. It cannot be mistaken for another one: it has the key.
std::string name_of(const std::string& key) {
  return "after " + key;
}

/// The reader reads the document, and has its snapshot.
void read_before(Reader& reader, const std::string& path, const std::string& key,
                 const std::vector<PluginRequest>& plugins, const Opener& opener) {
  auto source = opener.open(path);
  ReadRequest request;
  request.plugins = plugins;
  request.snapshot = SnapshotRequest{name_of(key), kKept};
  ResultWriter nothing("/dev/null");
  read_document(reader, source, request, nothing, [](const std::string&, const nlohmann::json&) {});
}

Sha256 digest_of(Reader& reader, const std::string& path, const std::vector<PluginRequest>& plugins,
                 const Opener& opener) {
  auto digest = digest_of_file(path);
  digest.add("\n" + opener.name + "\n" + reader.model() + "\n" + dump_json(plugins_to_json(plugins)));
  return digest;
}

std::string after_document(Reader& reader, const std::string& path, const std::vector<PluginRequest>& plugins,
                           const Opener& opener) {
  const auto key = key_of(digest_of(reader, path, plugins, opener));
  const auto name = name_of(key);
  if (has(reader, name, kLeft)) return name;
  if (const auto file = SnapshotCache().find(key)) {
    try {
      reader.import_snapshot(*file, {name, kKept});
      return name;
    } catch (const Error& error) {
      if (error.code != ErrorCode::kInvalidParams && error.code != ErrorCode::kModel) throw;
      SnapshotCache().remove(key);  // damaged, or of another program: read it again
    }
  }
  read_before(reader, path, key, plugins, opener);
  if (key_of(digest_of(reader, path, plugins, opener)) != key) {
    reader.delete_snapshot(name);
    throw CommandError(path + " was changed while it was read; run the command again");
  }
  SnapshotCache().put(key, path, reader.export_snapshot(name));
  return name;
}

}  // namespace

Opener log_opener(const std::string& encoding) {
  return {"log " + encoding, [encoding](const std::string& path) {
            return log_source(Source::open(path), std::make_shared<LogText>(encoding));
          }};
}

BytesBefore bytes_before(const std::string& file) {
  auto snapshot = read_snapshot_file(file);
  return {snapshot.info.model,      snapshot.info.checkpoint,     std::move(snapshot.point.model_state),
          std::move(snapshot.tail), snapshot.point.segment_begin, snapshot.point.block_begin};
}

bool is_snapshot_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string begin(kSnapshotFileMagic.size(), '\0');
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return stream && begin == kSnapshotFileMagic;
}

std::string read_snapshot_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw CommandError(system_message("cannot read " + path, errno));
  std::string file(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) throw CommandError(system_message("cannot read " + path, errno));
  return file;
}

std::optional<std::string> snapshot_after(Reader& reader, const std::string& after,
                                          const std::vector<PluginRequest>& plugins, const Opener& opener) {
  if (after.empty()) return std::nullopt;
  std::error_code failed;
  if (!std::filesystem::exists(after, failed)) {
    if (has(reader, after, {})) return after;
    throw CommandError("there is neither a file nor a snapshot '" + after +
                       "'; 'unroll snapshot list' lists those that there are");
  }
  if (!is_snapshot_file(after)) return after_document(reader, after, plugins, opener);
  const auto name = name_of(key_of(digest_of_file(after)));
  if (!has(reader, name, kLeft)) reader.import_snapshot(read_snapshot_bytes(after), {name, kKept});
  return name;
}

}  // namespace unroll
