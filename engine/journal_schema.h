// The journal's tables, and the migration from earlier formats.
#pragma once

namespace unroll::journal {

constexpr int kFormat = 6;

/// Columns that each commit writes are small and separate from large or constant ones, and keys increase with
/// the number of documents, so that a commit of many short documents touches few pages.
constexpr auto kSchema = R"(
CREATE TABLE documents(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner INTEGER NOT NULL, name TEXT NOT NULL,
  priority INTEGER NOT NULL, plugins TEXT NOT NULL, checkpoint TEXT NOT NULL, source TEXT NOT NULL,
  model TEXT NOT NULL DEFAULT '', snapshot INTEGER);
CREATE INDEX documents_of_owner ON documents(owner, number);
CREATE TABLE progress(
  number INTEGER PRIMARY KEY, phase INTEGER NOT NULL, bytes INTEGER NOT NULL, total_bytes INTEGER,
  tokens INTEGER NOT NULL, outputs INTEGER NOT NULL, error_code INTEGER, error TEXT, changed INTEGER NOT NULL,
  finished INTEGER, kept_bytes INTEGER NOT NULL, digest_bytes INTEGER, digest BLOB);
CREATE INDEX progress_finished ON progress(finished);
CREATE TABLE resume_points(
  number INTEGER PRIMARY KEY, segment_begin INTEGER NOT NULL, block_begin INTEGER NOT NULL,
  blocks INTEGER NOT NULL, bytes INTEGER NOT NULL, tokens INTEGER NOT NULL, sequence INTEGER NOT NULL,
  model_bytes INTEGER NOT NULL, plugin_bytes INTEGER NOT NULL, prefix BLOB NOT NULL);
CREATE TABLE model_states(number INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE plugin_states(
  number INTEGER NOT NULL, plugin TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY(number, plugin)) WITHOUT ROWID;
CREATE TABLE outputs(
  number INTEGER NOT NULL, sequence INTEGER NOT NULL, plugin TEXT NOT NULL, json NOT NULL,
  PRIMARY KEY(number, sequence)) WITHOUT ROWID;
CREATE TABLE owners(owner INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
)";

/// A snapshot's resume point and states are in the documents' tables, under its number's negative. Without a
/// name it is deleted, but documents go on from it.
constexpr auto kSnapshots = R"(
CREATE TABLE snapshots(
  number INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, name TEXT, model TEXT NOT NULL,
  checkpoint TEXT NOT NULL, plugins TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER,
  bytes INTEGER NOT NULL, sha256 BLOB NOT NULL, tail BLOB NOT NULL, plugin_begin INTEGER NOT NULL,
  begins TEXT NOT NULL, kept_bytes INTEGER NOT NULL);
CREATE UNIQUE INDEX snapshots_by_name ON snapshots(owner, name);
CREATE INDEX documents_of_snapshot ON documents(snapshot) WHERE snapshot IS NOT NULL;
)";

/// From format 1, whose blocks were seen whole, to format 2.
constexpr auto kFromFormat1 = R"(
ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN block_begin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE documents SET changed=unixepoch(), block_begin=bytes;
)";

/// From format 3, which knew no digests, to format 4.
constexpr auto kFromFormat3 = R"(
ALTER TABLE progress ADD COLUMN digest_bytes INTEGER;
ALTER TABLE progress ADD COLUMN digest BLOB;
ALTER TABLE resume_points ADD COLUMN prefix BLOB NOT NULL DEFAULT x'';
)";

/// From format 4, which did not know the model's name, to format 5.
constexpr auto kFromFormat4 = "ALTER TABLE documents ADD COLUMN model TEXT NOT NULL DEFAULT ''";

/// From format 5, which knew no snapshots, to format 6; kSnapshots follows.
constexpr auto kFromFormat5 = "ALTER TABLE documents ADD COLUMN snapshot INTEGER";

/// Before kSchema, and after it: from format 2, which had all of a document in one row.
constexpr auto kBeginFromFormat2 = R"(
ALTER TABLE documents RENAME TO old_documents;
ALTER TABLE plugin_states RENAME TO old_plugin_states;
ALTER TABLE outputs RENAME TO old_outputs;
)";
constexpr auto kEndFromFormat2 = R"(
INSERT INTO documents SELECT number, id, owner, name, priority, plugins, '', source, '', NULL FROM old_documents;
INSERT INTO outputs
  SELECT number, sequence, plugin, json FROM old_outputs JOIN old_documents ON id=document;
INSERT INTO plugin_states
  SELECT number, plugin, state FROM old_plugin_states JOIN old_documents ON id=document WHERE phase<>1;
INSERT INTO model_states
  SELECT number, model_state FROM old_documents WHERE phase<>1 AND length(model_state)>0;
INSERT INTO resume_points
  SELECT number, segment_begin, block_begin, blocks, bytes, tokens, outputs, coalesce(length(model_state), 0),
    (SELECT coalesce(sum(length(state)), 0) FROM old_plugin_states WHERE document=id), x''
  FROM old_documents WHERE phase<>1;
INSERT INTO progress
  SELECT number, phase, bytes, total_bytes, tokens, outputs, error_code, error, changed, finished,
    (SELECT coalesce(sum(length(json)), 0) FROM old_outputs WHERE document=id), NULL, NULL
  FROM old_documents;
INSERT INTO owners
  SELECT owner, sum(kept_bytes + coalesce(model_bytes + plugin_bytes, 0))
  FROM documents JOIN progress USING(number) LEFT JOIN resume_points USING(number) GROUP BY owner;
DROP TABLE old_outputs;
DROP TABLE old_plugin_states;
DROP TABLE old_documents;
)";

}  // namespace unroll::journal
