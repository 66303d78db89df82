// What the journal writes in a transaction. For journal.cc and journal_snapshots.cc.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/journal.h"
#include "engine/packed_text.h"

namespace unroll {

/// Bytes charged to a document or a snapshot in addition to its outputs and states.
inline constexpr std::int64_t kDocumentBytes = 512;

std::string plugins_to_text(const std::vector<PluginRequest>& plugins);
/// Throws nlohmann::json::exception.
std::vector<PluginRequest> plugins_from_text(const std::string& text);

/// One transaction; the destructor rolls it back if it was not committed.
class Journal::Writing {
 public:
  /// `now`: the time of the transaction, in seconds since 1970.
  Writing(Database& database, std::int64_t now) : database_(database), now_(now) {
    database_.execute("BEGIN IMMEDIATE");
  }
  ~Writing() {
    if (open_) database_.try_execute("ROLLBACK");
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  void commit() {
    database_.execute("COMMIT");
    open_ = false;
  }

  /// Returns the number of the document.
  std::int64_t write(const Commit& commit) {
    const auto number = commit.opening ? insert(commit) : number_of(commit.status.id);
    std::int64_t kept = commit.opening ? kDocumentBytes : 0, states = 0;
    if (commit.resume == Commit::Resume::kDrop) states = drop_point(number);
    if (commit.resume == Commit::Resume::kNew) states = write_point(number, commit.point);
    kept += write_outputs(number, commit.outputs);
    if (commit.forget_before > 0) kept -= forget_outputs(number, commit.forget_before);
    write_progress(number, commit, kept);
    for (const auto& snapshot : commit.snapshots) states += write_snapshot(*snapshot);
    charge(commit.status.owner, kept + states);
    return number;
  }

  /// The name may be another snapshot's, which then has none. Returns its bytes, which are not charged yet.
  std::int64_t write_snapshot(const Snapshot& snapshot);
  void add_snapshot(const Snapshot& snapshot) { charge(snapshot.info.owner, write_snapshot(snapshot)); }
  /// False if there is none of this name.
  bool unname_snapshot(std::uint32_t owner, const std::string& name);
  void forget_snapshot(std::int64_t number);

  /// Returns the number of outputs that it deleted, at most `most`. The document is gone if there were fewer.
  std::uint64_t forget(const DocumentId& id, std::uint64_t most) {
    auto select = database_.prepare(
        "SELECT number, owner, kept_bytes FROM documents JOIN progress USING(number) WHERE id=?");
    if (!select.bind(id).step()) return 0;
    const auto number = select.integer(0), kept = select.integer(2);
    const auto owner = static_cast<std::uint32_t>(select.integer(1));
    std::uint64_t outputs = 0, end = 0;
    auto oldest = database_.prepare("SELECT sequence FROM outputs WHERE number=? ORDER BY sequence LIMIT ?");
    for (oldest.bind(number).bind(most); oldest.step(); ++outputs) end = oldest.natural(0) + 1;
    if (outputs == most) {
      const auto bytes = forget_outputs(number, end);
      database_.prepare("UPDATE progress SET kept_bytes=kept_bytes-? WHERE number=?")
          .bind(bytes)
          .bind(number)
          .step();
      charge(owner, -bytes);
      return outputs;
    }
    const auto states = drop_point(number);
    for (const auto* sql : {"DELETE FROM outputs WHERE number=?", "DELETE FROM progress WHERE number=?",
                            "DELETE FROM documents WHERE number=?"}) {
      database_.prepare(sql).bind(number).step();
    }
    charge(owner, states - kept);
    return outputs;
  }

 private:
  std::int64_t number_of(const DocumentId& id) {
    auto select = database_.prepare("SELECT number FROM documents WHERE id=?");
    if (!select.bind(id).step()) {
      throw Error(ErrorCode::kJournal, "the journal no longer contains document " + id);
    }
    return select.integer(0);
  }

  std::int64_t insert(const Commit& commit) {
    const auto text = plugins_to_text(commit.opening->plugins);
    const auto& status = commit.status;
    auto insert = database_.prepare(
        "INSERT INTO documents(id, owner, name, priority, plugins, checkpoint, source, model, snapshot)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number");
    insert.bind(status.id).bind(std::int64_t{status.owner}).bind(status.name).bind(status.priority);
    insert.bind(text).bind(commit.opening->checkpoint).bind(status.source).bind(status.model);
    insert.bind_optional(commit.opening->snapshot);
    insert.step();
    const auto number = insert.integer(0);
    insert.step();
    return number;
  }

  void write_progress(std::int64_t number, const Commit& commit, std::int64_t kept) {
    const auto& status = commit.status;
    auto update = database_.prepare(
        "INSERT INTO progress VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(number) DO UPDATE SET"
        " phase=excluded.phase, bytes=excluded.bytes, total_bytes=excluded.total_bytes, "
        "tokens=excluded.tokens,"
        " outputs=excluded.outputs, error_code=excluded.error_code, error=excluded.error,"
        " changed=excluded.changed, finished=excluded.finished, kept_bytes=kept_bytes+excluded.kept_bytes,"
        " digest_bytes=coalesce(excluded.digest_bytes, digest_bytes), digest=coalesce(excluded.digest, "
        "digest)");
    update.bind(number).bind(static_cast<int>(status.phase)).bind(status.bytes);
    update.bind_optional(status.total_bytes).bind(status.tokens).bind(status.outputs);
    status.error_code ? update.bind(static_cast<int>(*status.error_code)) : update.bind_null();
    status.error.empty() ? update.bind_null() : update.bind(status.error);
    update.bind(now_);
    status.phase == DocumentPhase::kOpen ? update.bind_null() : update.bind(now_);
    update.bind(kept);
    static const PrefixDigest kNone;  // of a document that is not being resumed
    const auto* read = commit.resume == Commit::Resume::kDrop ? &kNone
                       : commit.read                          ? &*commit.read
                                                              : nullptr;
    if (read != nullptr) {
      update.bind(read->bytes).bind(read->sha256);
    } else {
      update.bind_null().bind_null();
    }
    update.step();
  }

  /// Returns by how many bytes the document's states have grown, as does the next function.
  std::int64_t write_point(std::int64_t number, const ResumePoint& point) {
    const auto [model_before, plugins_before] = state_bytes(number).value_or(std::pair(0, 0));
    auto model = model_before;
    std::int64_t plugins = 0;
    if (!point.keeps_model_state) {
      model = static_cast<std::int64_t>(point.model_state.size());
      if (model > 0) {
        database_.prepare("INSERT OR REPLACE INTO model_states VALUES(?, ?)")
            .bind(number)
            .bind(point.model_state)
            .step();
      }
    }
    database_.prepare("DELETE FROM plugin_states WHERE number=?").bind(number).step();
    for (const auto& [plugin, state] : point.plugin_states) {
      plugins += static_cast<std::int64_t>(state.size());
      database_.prepare("INSERT INTO plugin_states VALUES(?, ?, ?)")
          .bind(number)
          .bind(plugin)
          .bind(state)
          .step();
    }
    auto write =
        database_.prepare("INSERT OR REPLACE INTO resume_points VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    write.bind(number).bind(point.segment_begin).bind(point.block_begin).bind(point.blocks).bind(point.bytes);
    write.bind(point.tokens).bind(point.sequence).bind(model).bind(plugins);
    write.bind(point.prefix).step();
    return model + plugins - model_before - plugins_before;
  }

  std::int64_t drop_point(std::int64_t number) {
    const auto bytes = state_bytes(number);
    if (!bytes) return 0;
    for (const auto* sql :
         {"DELETE FROM resume_points WHERE number=?", "DELETE FROM model_states WHERE number=?",
          "DELETE FROM plugin_states WHERE number=?"}) {
      database_.prepare(sql).bind(number).step();
    }
    return -bytes->first - bytes->second;
  }

  /// Sizes of the model's state and the plugins'; nullopt if there is no resume point.
  std::optional<std::pair<std::int64_t, std::int64_t>> state_bytes(std::int64_t number) {
    auto select = database_.prepare("SELECT model_bytes, plugin_bytes FROM resume_points WHERE number=?");
    if (!select.bind(number).step()) return std::nullopt;
    return std::pair(select.integer(0), select.integer(1));
  }

  std::int64_t write_outputs(std::int64_t number, const std::vector<Output>& outputs) {
    std::int64_t bytes = 0;
    auto insert = database_.prepare("INSERT INTO outputs VALUES(?, ?, ?, ?)");
    for (const auto& output : outputs) {
      insert.bind(number).bind(output.sequence).bind(output.plugin);
      const auto packed = pack_text(output.json);
      packed ? insert.bind(*packed) : insert.bind(output.json);
      insert.step();
      insert.reset();
      bytes +=
          static_cast<std::int64_t>((packed ? packed->size() : output.json.size()) + output.plugin.size());
    }
    return bytes;
  }

  std::int64_t forget_outputs(std::int64_t number, std::uint64_t before) {
    auto remove = database_.prepare(
        "DELETE FROM outputs WHERE number=? AND sequence<?"
        " RETURNING length(CAST(json AS BLOB)) + length(CAST(plugin AS BLOB))");
    remove.bind(number).bind(before);
    std::int64_t bytes = 0;
    while (remove.step()) bytes += remove.integer(0);
    return bytes;
  }

  void charge(std::uint32_t owner, std::int64_t bytes) {
    if (bytes == 0) return;
    auto update = database_.prepare(
        "INSERT INTO owners VALUES(?, ?) ON CONFLICT(owner) DO UPDATE SET bytes=bytes+excluded.bytes");
    update.bind(std::int64_t{owner}).bind(bytes).step();
  }

  Database& database_;
  const std::int64_t now_;
  bool open_ = true;
};

template <class Work>
void Journal::write(Work work) {
  const std::lock_guard lock(write_mutex_);
  auto& database = writer();
  auto reading = durable_ ? std::unique_lock<std::mutex>() : std::unique_lock(read_mutex_);
  Writing writing(database, now());
  work(writing);
  writing.commit();
}

}  // namespace unroll
