#include <array>

#include "base/choices.h"
#include "config/config.h"

namespace unroll {

std::span<const ConfigKey> config_keys() {
  constexpr std::int64_t kDay = 24 * 3'600'000;
  static const std::array kKeys = {
      ConfigKey{
          "socket.path", &Config::socket_path, "",
          "The Unix socket, at most 107 bytes long. Empty: `$XDG_RUNTIME_DIR/unroll/unroll.sock` for a "
          "user's daemon, `/run/unroll/unroll.sock` for root's. Not used if systemd hands over a socket."},
      ConfigKey{"socket.mode", &Config::socket_mode, "octal", "Mode of the socket; decides who may connect."},
      ConfigKey{"socket.group", &Config::socket_group, "",
                "Group of the socket, by name. Empty: the daemon's own."},
      ConfigKey{"http.listen", &Config::http_listen, "",
                "Where HTTP is served over TCP, without encryption: `8000` (on 127.0.0.1), `0.0.0.0:8000`, "
                "`[::1]:8000`; port 0 is any that is free, which the log names. Empty: nowhere. Needs "
                "`http.tokens`."},
      ConfigKey{"http.tokens", &Config::http_tokens, "",
                "File with a line `NAME TOKEN` for each user of HTTP over TCP; only its owner, who is the "
                "daemon's user or root, may open it (mode 0600). Read again at each reload."},
      ConfigKey{
          "models", &Config::models, "",
          "Models that documents can ask for by name: a list of installed models' names, checkpoints' "
          "folders "
          "and GGUF files. The first is the default and always loaded; each other one is loaded when a "
          "document "
          "asks for it. Instead of a text, `{\"name\", \"path\", \"settings\", \"dtype\"}`, of which only "
          "`path` is required. A model's name is otherwise the last part of its path, without `.gguf`; "
          "settings "
          "and dtype are otherwise those of `model.settings` and `model.dtype`."},
      ConfigKey{"model.directory", &Config::model_directory, "",
                "Model to read with, the only one or the first before those of `models`: an installed one's "
                "name, a "
                "checkpoint's folder or a GGUF file. Empty, and no `models`: "
                "`$UNROLL_MODEL`, otherwise the model that was installed with the daemon."},
      ConfigKey{
          "model.settings", &Config::model_settings, "",
          "How the model reads, over what its own configuration says: `KEY=VALUE`, separated by commas. "
          "Keys are `block_width`, `memory_blocks`, `attention_sinks` and `document_cache_tokens`; "
          "unroll's own models have the last one alone."},
      ConfigKey{"model.device",
                &Config::device,
                "",
                "Device that the model runs on; `auto` uses a GPU if there is one, `cuda-plain` a GPU by "
                "LibTorch's operators alone, without unroll's kernels and graphs.",
                0,
                0,
                {kDevices.begin(), kDevices.end()}},
      ConfigKey{"model.dtype",
                &Config::dtype,
                "",
                "Type of numbers that the model computes with, whatever the checkpoint stores; `auto`: the "
                "fastest of fp32 and bf16 on this machine, and int8 if the checkpoint stores that. The "
                "daemon measures it once and keeps it in the file `*.arithmetic` beside the journal.",
                0,
                0,
                {kDtypes.begin(), kDtypes.end()}},
      ConfigKey{"model.threads", &Config::threads, "threads",
                "Number of threads of the model; 0: one per core.", 0, 4096},
      ConfigKey{"model.batch", &Config::batch, "blocks",
                "Number of blocks of different documents that run at once; 0: as many as suit the device; 1: "
                "each block alone.",
                0, 65'536},
      ConfigKey{"plugins.directory", &Config::plugin_directory, "",
                "Folder whose `*.so` and `*.py` are loaded. Empty: `$UNROLL_PLUGIN_PATH`, otherwise the "
                "folder of the built-in plugins."},
      ConfigKey{"plugins.in_process", &Config::plugins_in_process, "",
                "File names of trusted libraries, separated by commas. They are loaded into the daemon "
                "instead of into worker processes, in which a fault fails only one document. `*`: all."},
      ConfigKey{"plugins.python", &Config::python, "", "Python interpreter for plugins in Python."},
      ConfigKey{"plugins.memory_bytes", &Config::plugin_memory_bytes, "bytes",
                "Memory limit of one plugin worker; a plugin's manifest can set another.", 16 << 20},
      ConfigKey{"plugins.deadline_ms", &Config::plugin_deadline_ms, "milliseconds",
                "Time limit for a plugin in a worker to return from one block, or from another of its "
                "functions; a plugin's manifest can set another.",
                1, kDay},
      ConfigKey{"journal.path", &Config::journal_path, "",
                "SQLite file of the journal. Empty: `unroll.journal` in `$STATE_DIRECTORY`, otherwise in "
                "`$XDG_STATE_HOME/unroll`, otherwise in `~/.local/state/unroll`. `:memory:` keeps nothing."},
      ConfigKey{"journal.commit_blocks", &Config::commit_blocks, "blocks",
                "A document is committed after this many of its blocks, or after the interval, whichever "
                "comes first. Its states are committed after this many blocks, large ones more rarely if "
                "writing them would take more than 3 % of the time.",
                1, 1'000'000},
      ConfigKey{"journal.commit_interval_ms", &Config::commit_interval_ms, "milliseconds",
                "See `journal.commit_blocks`.", 1, kDay},
      ConfigKey{"journal.keep_finished_hours", &Config::keep_finished_hours, "hours",
                "How long the outputs of finished documents can be read again.", 0, 24 * 366},
      ConfigKey{"journal.keep_waiting_hours", &Config::keep_waiting_hours, "hours",
                "How long a document that waits to be resumed is kept; checked when the daemon starts.", 1,
                24 * 366 * 10},
      ConfigKey{"limits.documents", &Config::max_documents, "documents",
                "Open documents of all users. Of this limit and of those on connections, openings and "
                "buffered bytes of all users, one half is kept for users who have at most 1/128 of it.",
                1, 10'000'000},
      ConfigKey{"limits.documents_per_user", &Config::max_documents_per_user, "documents",
                "Open documents of one user.", 1, 10'000'000},
      ConfigKey{"limits.documents_per_connection", &Config::max_documents_per_connection, "documents",
                "Documents that one connection opened or attached to and that have not ended.", 1,
                10'000'000},
      ConfigKey{"limits.document_bytes", &Config::max_document_bytes, "bytes", "Length of one document.", 1},
      ConfigKey{"limits.input_buffer_bytes", &Config::input_buffer_bytes, "bytes",
                "Bytes of one document that wait for the model; a faster writer is slowed down.", 4096,
                std::int64_t{1} << 30},
      ConfigKey{"limits.buffered_bytes", &Config::max_buffered_bytes, "bytes",
                "Bytes of all documents that wait for the model. Above it every writer waits, and a text "
                "that does not fit is refused.",
                65'536},
      ConfigKey{"limits.buffered_bytes_per_user", &Config::max_buffered_bytes_per_user, "bytes",
                "The same, of one user's documents.", 65'536},
      ConfigKey{
          "limits.memory_bytes", &Config::max_memory_bytes, "bytes",
          "States, buffers and bookkeeping of all open documents. To stay below it, the states of documents "
          "with nothing to read are evicted to the journal; if that is not enough, no document is opened.",
          1 << 20},
      ConfigKey{"limits.memory_bytes_per_user", &Config::max_memory_bytes_per_user, "bytes",
                "The same, of one user's documents.", 1 << 20},
      ConfigKey{
          "limits.journal_bytes_per_user", &Config::max_journal_bytes_per_user, "bytes",
          "Outputs and saved states of one user's documents in the journal. Above it `document.open` is "
          "refused, and the user's open documents fail with `limit` when they are committed next. Default: "
          "the evicted states (2 MB) of 10,000 open documents, and half as much for outputs. Set it below "
          "the free space of the journal's disk, divided by the number of users who may fill it.",
          1 << 20},
      ConfigKey{"limits.snapshots_per_user", &Config::max_snapshots_per_user, "snapshots",
                "Snapshots of one user. Their bytes count in `limits.journal_bytes_per_user`.", 0,
                10'000'000},
      ConfigKey{"limits.model_memory_bytes", &Config::max_model_memory_bytes, "bytes",
                "Weights of all models that are loaded. To stay below it, models that no document uses are "
                "unloaded, "
                "but for the first; if that is not enough, documents that ask for another model are refused. "
                "0: half "
                "of the machine's memory."},
      ConfigKey{"limits.model_idle_ms", &Config::model_idle_ms, "milliseconds",
                "A model that no document has used for this long is unloaded, but for the first.", 100, kDay},
      ConfigKey{
          "limits.connections", &Config::max_connections, "connections",
          "Open connections of all users. A few of them (8, or a quarter of a small number) are reserved for "
          "root and for the daemon's own user, so that `unroll reload` and a health check always get in.",
          1, 100'000},
      ConfigKey{"limits.connections_per_user", &Config::max_connections_per_user, "connections",
                "Open connections of one user.", 1, 100'000},
      ConfigKey{"limits.openings", &Config::max_openings, "documents",
                "Documents that are being opened, at most 4 of one user: each may wait for its plugins to "
                "start.",
                1, 10'000},
      ConfigKey{"limits.opening_timeout_ms", &Config::opening_timeout_ms, "milliseconds",
                "A user's documents that wait until they can be opened are refused if none of that user's is "
                "opened for this long.",
                100, kDay},
      ConfigKey{"limits.descriptors_per_user", &Config::max_descriptors_per_user, "descriptors",
                "Open pipes and sockets that one user sent. At most 64 more files are open.", 1, 1'000'000},
      ConfigKey{"limits.line_bytes_per_user", &Config::max_line_bytes_per_user, "bytes",
                "Memory for one user's incomplete lines. Each line longer than 64 KiB counts as 8 MiB, the "
                "longest line. At the limit, the user's other connections in the middle of such a line wait.",
                8 << 20},
      ConfigKey{
          "limits.outgoing_bytes", &Config::outgoing_bytes, "bytes",
          "Bytes that wait for a client to read them; above it the client's outputs wait in the journal.",
          65'536, std::int64_t{1} << 30},
      ConfigKey{"limits.request_timeout_ms", &Config::request_timeout_ms, "milliseconds",
                "Time limit for a connection's first byte, for the header of an HTTP request, and between "
                "two pieces of one line.",
                100, kDay},
      ConfigKey{"limits.idle_timeout_ms", &Config::idle_timeout_ms, "milliseconds",
                "A JSON-RPC connection without requests is closed after this time, unless it is subscribed "
                "to documents.",
                100, kDay},
      ConfigKey{
          "limits.source_timeout_ms", &Config::source_timeout_ms, "milliseconds",
          "How long a file system or socket of a client's descriptor may take to answer. After that the "
          "process that holds this user's descriptors is abandoned, and the documents that it reads fail.",
          100, kDay},
      ConfigKey{"drain_ms", &Config::drain_ms, "milliseconds",
                "On SIGTERM open documents continue for this time. Those that are not done then are "
                "committed and can be resumed.",
                0, kDay},
      ConfigKey{"stall_ms", &Config::stall_ms, "milliseconds",
                "If one launch of blocks lasts longer than this, `/healthz` answers 503.", 100, kDay},
      ConfigKey{"log_level",
                &Config::log_level,
                "",
                "Level of the log (standard error). The log never contains a document's text.",
                0,
                0,
                {"trace", "debug", "info", "warning", "error", "off"}},
  };
  return kKeys;
}

}  // namespace unroll
