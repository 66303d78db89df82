// A journal with damage: values of any kind in its columns, rows and tables missing, bytes of the file
// changed. The engine opens it, lists its documents and continues those that were open, or throws an Error.
#include <algorithm>
#include <array>

#include <sqlite3.h>

#include "protocol/protocol.h"
#include "tests/engine/hash_model.h"
#include "tests/fuzz/daemon_peer.h"
#include "tests/temporary_folder.h"

using namespace unroll;

namespace {

using Database = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

constexpr std::array kColumns = {"documents.number",
                                 "documents.id",
                                 "documents.owner",
                                 "documents.name",
                                 "documents.priority",
                                 "documents.plugins",
                                 "documents.checkpoint",
                                 "documents.source",
                                 "progress.number",
                                 "progress.phase",
                                 "progress.bytes",
                                 "progress.total_bytes",
                                 "progress.tokens",
                                 "progress.outputs",
                                 "progress.error_code",
                                 "progress.error",
                                 "progress.changed",
                                 "progress.finished",
                                 "progress.kept_bytes",
                                 "progress.digest_bytes",
                                 "progress.digest",
                                 "resume_points.number",
                                 "resume_points.segment_begin",
                                 "resume_points.block_begin",
                                 "resume_points.blocks",
                                 "resume_points.bytes",
                                 "resume_points.tokens",
                                 "resume_points.sequence",
                                 "resume_points.model_bytes",
                                 "resume_points.plugin_bytes",
                                 "resume_points.prefix",
                                 "model_states.number",
                                 "model_states.state",
                                 "plugin_states.number",
                                 "plugin_states.plugin",
                                 "plugin_states.state",
                                 "outputs.number",
                                 "outputs.sequence",
                                 "outputs.plugin",
                                 "outputs.json",
                                 "owners.owner",
                                 "owners.bytes",
                                 "documents.snapshot",
                                 "snapshots.number",
                                 "snapshots.owner",
                                 "snapshots.name",
                                 "snapshots.checkpoint",
                                 "snapshots.plugins",
                                 "snapshots.expires",
                                 "snapshots.bytes",
                                 "snapshots.sha256",
                                 "snapshots.tail",
                                 "snapshots.plugin_begin",
                                 "snapshots.begins",
                                 "snapshots.kept_bytes"};
const std::vector<PluginRequest> kPlugins = {{"score", {{"granularity", "line"}}},
                                             {"anomaly", nlohmann::json::object()}};

Engine open_engine(const std::filesystem::path& file) {
  EngineOptions options;
  options.journal = file;
  options.commit_blocks = 2;
  options.new_id = [next = 0]() mutable { return "d" + std::to_string(next++); };
  return Engine({std::make_shared<HashModel>(), fuzz::vocabulary(), fuzz::plugins()}, options);
}

/// A journal of one document that is done, and its snapshot; one that is open, in its middle, with states;
/// and one that goes on from the snapshot.
std::string well_formed(const std::filesystem::path& file) {
  {
    Engine engine = open_engine(file);
    const auto wait_until = [](const auto& holds) {
      while (!holds()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    DocumentRequest request;
    request.plugins = kPlugins;
    request.snapshot = SnapshotRequest{"s", {}};
    const auto ended = engine.open(request, nullptr).id;
    engine.append(ended, some_text(300), [] {});
    engine.end(ended);
    wait_until([&] { return engine.stats().documents_done == 1; });
    request.snapshot.reset();
    for (const bool goes_on : {false, true}) {
      if (goes_on) request.from = "s";
      const auto id = engine.open(request, nullptr).id;
      engine.append(id, some_text(2000), [] {});
      wait_until([&] { return engine.status(id).tokens >= 4 * kTestBlock; });
    }
  }
  return read_file(file);
}

/// In each row of a table. Changes that the schema or SQLite refuse are skipped.
void set_value(sqlite3* database, const std::string& column, fuzz::Input& input) {
  const auto dot = column.find('.');
  const auto sql = "UPDATE OR IGNORE " + column.substr(0, dot) + " SET " + column.substr(dot + 1) + "=?1";
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return;
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> update(raw, &sqlite3_finalize);
  const auto kind = input.byte() % 4;
  if (kind == 0) sqlite3_bind_int64(raw, 1, input.number<std::int64_t>());
  if (kind == 1) sqlite3_bind_double(raw, 1, input.number<double>());
  if (kind >= 2) {
    const auto bytes = input.take(input.number<std::uint16_t>());
    const auto size = static_cast<int>(bytes.size());
    if (kind == 2) sqlite3_bind_text(raw, 1, bytes.data(), size, SQLITE_TRANSIENT);
    if (kind == 3) sqlite3_bind_blob(raw, 1, bytes.data(), size, SQLITE_TRANSIENT);
  }
  sqlite3_step(raw);
}

void damage_values(const std::filesystem::path& file, fuzz::Input& input) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(file.c_str(), &raw);
  const Database database(raw, &sqlite3_close);
  fuzz::require(code == SQLITE_OK, "a well-formed journal opens");
  sqlite3_exec(raw, "PRAGMA synchronous=OFF", nullptr, nullptr, nullptr);
  for (int steps = input.byte() % 8; steps >= 0 && !input.empty(); --steps) {
    const auto kind = input.byte() % 16;
    const std::string column = kColumns[input.byte() % kColumns.size()];
    const auto table = column.substr(0, column.find('.'));
    std::string sql;
    if (kind == 0) sql = "PRAGMA user_version=" + std::to_string(input.number<std::int32_t>());
    if (kind == 1) sql = "DELETE FROM " + table;
    if (kind == 2) sql = "DROP TABLE " + table;
    if (kind == 3)
      sql = "ALTER TABLE " + table + " RENAME COLUMN " + column.substr(table.size() + 1) + " TO other";
    if (kind > 3) set_value(raw, column, input);
    sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr);
  }
}

void damage_bytes(const std::filesystem::path& file, fuzz::Input& input) {
  auto bytes = read_file(file);
  for (int steps = input.byte() % 8; steps > 0 && !input.empty(); --steps) {
    bytes[input.number<std::uint32_t>() % bytes.size()] = static_cast<char>(input.byte());
  }
  write_file(file, bytes);
}

void go_on(Engine& engine, const DocumentStatus& status) {
  DocumentRequest request;
  request.plugins = kPlugins;
  request.owner = status.owner;
  request.resume = status.id;
  const auto opened = engine.open(request, nullptr);
  const auto text = some_text(2000);
  engine.append(opened.id, text.substr(std::min<std::uint64_t>(opened.resume_bytes, text.size())), [] {});
  engine.end(opened.id);
}

void use(Engine& engine) {
  for (const auto& status : engine.list({})) {
    dump_json(status_to_json(status));
    for (const auto& output : engine.outputs(status.id, 0, 1000)) output_line(status.id, output);
    if (status.phase == DocumentPhase::kOpen) go_on(engine, status);
  }
  for (const auto& snapshot : engine.snapshots(0)) {
    dump_json(snapshot_to_json(snapshot));
    engine.export_snapshot(0, snapshot.name);
    DocumentRequest request;
    request.plugins = kPlugins;
    request.from = snapshot.name;
    request.text = some_text(100);
    engine.open(request, nullptr);
  }
  fuzz::require(engine.drain(std::chrono::seconds(20)), "documents that go on come to their end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  static const std::string good = well_formed(folder / "good");
  const auto file = folder / "journal";
  for (const char* end : {"-wal", "-shm", "-journal"}) std::filesystem::remove(file.string() + end);
  write_file(file, good);
  fuzz::Input input(data, size);
  if (input.byte() % 4 != 0) damage_values(file, input);
  damage_bytes(file, input);
  try {
    Engine engine = open_engine(file);
    use(engine);
  } catch (const Error& error) {
    error_to_json(error);
  }
  return 0;
}
