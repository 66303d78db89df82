// Snapshots in the journal.
#include <algorithm>
#include <utility>

#include "engine/journal_writing.h"

namespace unroll {
namespace {

constexpr auto kColumns =
    "SELECT number, owner, name, model, checkpoint, plugins, created, expires, bytes, sha256, kept_bytes, "
    "tail,"
    " plugin_begin, begins FROM snapshots ";
constexpr auto kNotExpired = " AND (expires IS NULL OR expires > ?)";

std::string to_text(const std::vector<Begin>& begins) {
  auto list = nlohmann::json::array();
  for (const auto& begin : begins) list.push_back({{"bytes", begin.bytes}, {"plugins", begin.plugins}});
  return list.dump();
}

std::vector<Begin> begins_from_text(const std::string& text) {
  std::vector<Begin> begins;
  for (const auto& entry : nlohmann::json::parse(text))
    begins.push_back({entry.at("bytes"), entry.at("plugins")});
  return begins;
}

}  // namespace

std::string plugins_to_text(const std::vector<PluginRequest>& plugins) {
  auto list = nlohmann::json::array();
  for (const auto& plugin : plugins) list.push_back({{"name", plugin.name}, {"options", plugin.options}});
  return list.dump();
}

std::vector<PluginRequest> plugins_from_text(const std::string& text) {
  std::vector<PluginRequest> plugins;
  for (const auto& entry : nlohmann::json::parse(text))
    plugins.push_back({entry.at("name"), entry.at("options")});
  return plugins;
}

bool offsets_agree(const Snapshot& snapshot) {
  const auto& point = snapshot.point;
  const auto end = snapshot.info.bytes;
  auto before = point.bytes;
  const bool begins_agree = std::ranges::all_of(snapshot.begins, [&](const auto& begin) {
    return std::exchange(before, begin.bytes) <= begin.bytes && begin.bytes <= end;
  });
  return begins_agree && point.segment_begin <= point.block_begin && point.block_begin <= point.bytes &&
         point.bytes <= end && snapshot.plugin_begin <= point.bytes &&
         snapshot.tail.size() == end - point.segment_begin;
}

std::int64_t Journal::Writing::write_snapshot(const Snapshot& snapshot) {
  const auto& info = snapshot.info;
  unname_snapshot(info.owner, info.name);
  const auto plugins = plugins_to_text(info.plugins), begins = to_text(snapshot.begins);
  const std::vector<std::byte> tail(
      reinterpret_cast<const std::byte*>(snapshot.tail.data()),
      reinterpret_cast<const std::byte*>(snapshot.tail.data()) + snapshot.tail.size());
  auto insert = database_.prepare(
      "INSERT INTO snapshots(owner, name, model, checkpoint, plugins, created, expires, bytes, sha256, tail,"
      " plugin_begin, begins, kept_bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING number");
  insert.bind(std::int64_t{info.owner}).bind(info.name).bind(info.model).bind(info.checkpoint).bind(plugins);
  insert.bind(info.created).bind_optional(info.expires).bind(info.bytes).bind(info.sha256).bind(tail);
  insert.bind(snapshot.plugin_begin).bind(begins);
  insert.step();
  const auto number = insert.integer(0);
  insert.step();
  const auto kept =
      kDocumentBytes + static_cast<std::int64_t>(tail.size()) + write_point(-number, snapshot.point);
  database_.prepare("UPDATE snapshots SET kept_bytes=? WHERE number=?").bind(kept).bind(number).step();
  return kept;
}

bool Journal::Writing::unname_snapshot(std::uint32_t owner, const std::string& name) {
  auto update = database_.prepare("UPDATE snapshots SET name=NULL WHERE owner=? AND name=? RETURNING number");
  const bool found = update.bind(std::int64_t{owner}).bind(name).step();
  if (found) update.step();
  return found;
}

void Journal::Writing::forget_snapshot(std::int64_t number) {
  auto remove = database_.prepare("DELETE FROM snapshots WHERE number=? RETURNING owner, kept_bytes");
  if (!remove.bind(number).step()) return;
  const auto owner = static_cast<std::uint32_t>(remove.integer(0));
  const auto kept = remove.integer(1);
  remove.step();
  drop_point(-number);
  charge(owner, -kept);
}

SnapshotInfo Journal::snapshot_info(const Database::Statement& row) const {
  SnapshotInfo info;
  info.owner = static_cast<std::uint32_t>(row.integer(1));
  info.name = row.text(2);
  info.model = row.text(3);
  info.checkpoint = row.text(4);
  info.created = row.integer(6);
  if (!row.is_null(7)) info.expires = row.integer(7);
  info.bytes = row.natural(8);
  info.sha256 = row.blob(9);
  info.kept_bytes = row.natural(10);
  try {
    info.plugins = plugins_from_text(row.text(5));
  } catch (const nlohmann::json::exception&) {
    fail_damaged("the plugins of snapshot " + info.name + " are not the JSON that was written");
  }
  return info;
}

Snapshot Journal::read_snapshot(const Database::Statement& row, bool with_model_state) const {
  Snapshot snapshot;
  snapshot.number = row.integer(0);
  snapshot.info = snapshot_info(row);
  const auto tail = row.blob(11);
  snapshot.tail.assign(reinterpret_cast<const char*>(tail.data()), tail.size());
  snapshot.plugin_begin = row.natural(12);
  try {
    snapshot.begins = begins_from_text(row.text(13));
  } catch (const nlohmann::json::exception&) {
    fail_damaged("the documents of snapshot " + snapshot.info.name + " are not the JSON that was written");
  }
  snapshot.point = read_point(-snapshot.number, with_model_state);
  if (!snapshot.point.stored) fail_damaged("the states of snapshot " + snapshot.info.name + " are missing");
  if (!offsets_agree(snapshot))
    fail_damaged("the offsets of snapshot " + snapshot.info.name + " contradict each other");
  return snapshot;
}

std::optional<Snapshot> Journal::find_snapshot(std::uint32_t owner, const std::string& name,
                                               bool with_model_state) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(std::string(kColumns) + "WHERE owner=? AND name=?" + kNotExpired);
  if (!select.bind(std::int64_t{owner}).bind(name).bind(now()).step()) return std::nullopt;
  return read_snapshot(select, with_model_state);
}

Snapshot Journal::snapshot(std::int64_t number) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(std::string(kColumns) + "WHERE number=?");
  if (!select.bind(number).step()) fail_damaged("snapshot number " + std::to_string(number) + " is missing");
  return read_snapshot(select, false);
}

std::vector<std::byte> Journal::snapshot_state(std::int64_t number) const {
  const std::lock_guard lock(read_mutex_);
  return read_model_state(-number);
}

std::vector<SnapshotInfo> Journal::snapshots(std::uint32_t owner) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(std::string(kColumns) + "WHERE owner=? AND name IS NOT NULL" + kNotExpired +
                                 " ORDER BY name");
  select.bind(std::int64_t{owner}).bind(now());
  std::vector<SnapshotInfo> result;
  while (select.step()) result.push_back(snapshot_info(select));
  return result;
}

std::size_t Journal::count_snapshots(std::uint32_t owner, const std::string& but) const {
  const std::lock_guard lock(read_mutex_);
  auto select =
      reader().prepare(std::string("SELECT count(*) FROM snapshots WHERE owner=? AND name<>?") + kNotExpired);
  select.bind(std::int64_t{owner}).bind(but).bind(now()).step();
  return static_cast<std::size_t>(select.integer(0));
}

void Journal::add_snapshot(const Snapshot& snapshot) {
  write([&](Writing& writing) { writing.add_snapshot(snapshot); });
}

bool Journal::unname_snapshot(std::uint32_t owner, const std::string& name) {
  bool found = false;
  write([&](Writing& writing) { found = writing.unname_snapshot(owner, name); });
  return found;
}

void Journal::forget_snapshots(const std::multiset<std::int64_t>& pinned) {
  std::vector<std::int64_t> unused;
  {
    const std::lock_guard lock(read_mutex_);
    auto select = reader().prepare(
        "SELECT number FROM snapshots WHERE (name IS NULL OR expires <= ?)"
        " AND NOT EXISTS (SELECT 1 FROM documents JOIN progress USING(number)"
        " WHERE snapshot=snapshots.number AND phase<>?)");
    select.bind(now()).bind(static_cast<int>(DocumentPhase::kDone));
    while (select.step()) {
      if (!pinned.contains(select.integer(0))) unused.push_back(select.integer(0));
    }
  }
  if (unused.empty()) return;
  write([&](Writing& writing) {
    for (const auto number : unused) writing.forget_snapshot(number);
  });
}

}  // namespace unroll
