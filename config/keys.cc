#include <array>

#include "config/config.h"

namespace unroll {

std::span<const ConfigKey> config_keys() {
  constexpr std::int64_t kDay = 24 * 3'600'000;
  static const std::array kKeys = {
      ConfigKey{"socket.path", &Config::socket_path, "",
                "The Unix socket, at most 107 bytes long. Empty: `$XDG_RUNTIME_DIR/unroll/unroll.sock` for a "
                "user's daemon, "
                "`/run/unroll/unroll.sock` for root's. Not used where systemd hands over a socket."},
      ConfigKey{"socket.mode", &Config::socket_mode, "octal", "Mode of the socket: who may connect."},
      ConfigKey{"socket.group", &Config::socket_group, "",
                "Group of the socket, by name. Empty: the daemon's own."},
      ConfigKey{"model.directory", &Config::model_directory, "",
                "The checkpoint's folder. Empty: `$UNROLL_MODEL`, else the model that was installed with the "
                "daemon."},
      ConfigKey{"model.device",
                &Config::device,
                "",
                "Where the model runs; `auto` takes a GPU where there is one.",
                0,
                0,
                {"auto", "cpu", "cuda"}},
      ConfigKey{"model.dtype",
                &Config::dtype,
                "",
                "What the model computes in, whatever the checkpoint stores; `auto`: the fastest of fp32 and "
                "bf16 on this machine, and int8 if the checkpoint stores that. The daemon measures it once "
                "and keeps it in the file `*.arithmetic` beside the journal.",
                0,
                0,
                {"auto", "fp32", "bf16", "int8"}},
      ConfigKey{"model.threads", &Config::threads, "threads",
                "Threads of the model; 0: as many as there are cores.", 0, 4096},
      ConfigKey{
          "model.batch", &Config::batch, "blocks",
          "Blocks of different documents that run at once; 0: as many as suit the device; 1: each alone.", 0,
          65'536},
      ConfigKey{"plugins.directory", &Config::plugin_directory, "",
                "Folder whose `*.so` and `*.py` are loaded. Empty: `$UNROLL_PLUGIN_PATH`, else the built-in "
                "plugins' "
                "folder."},
      ConfigKey{
          "plugins.in_process", &Config::plugins_in_process, "",
          "File names, with commas between them, of libraries that are trusted: loaded into the daemon "
          "instead of into worker processes of their own, where what goes wrong fails one document. `*`: "
          "all."},
      ConfigKey{"plugins.python", &Config::python, "", "The Python that runs plugins in Python."},
      ConfigKey{"plugins.memory_bytes", &Config::plugin_memory_bytes, "bytes",
                "Of one worker of a plugin; a plugin's manifest can say otherwise.", 16 << 20},
      ConfigKey{"plugins.deadline_ms", &Config::plugin_deadline_ms, "milliseconds",
                "For a plugin in a worker to return from one block, or from another of its functions; a "
                "plugin's manifest can say otherwise.",
                1, kDay},
      ConfigKey{"journal.path", &Config::journal_path, "",
                "The journal's SQLite file. Empty: `unroll.journal` in `$STATE_DIRECTORY`, else "
                "`$XDG_STATE_HOME/unroll`, else "
                "`~/.local/state/unroll`. `:memory:` keeps nothing."},
      ConfigKey{"journal.commit_blocks", &Config::commit_blocks, "blocks",
                "A document is committed after so many of its blocks, or after the interval, whichever comes "
                "first.",
                1, 1'000'000},
      ConfigKey{"journal.commit_interval_ms", &Config::commit_interval_ms, "milliseconds",
                "See `journal.commit_blocks`.", 1, kDay},
      ConfigKey{"journal.keep_finished_hours", &Config::keep_finished_hours, "hours",
                "How long the outputs of finished documents can be read again.", 0, 24 * 366},
      ConfigKey{"journal.keep_waiting_hours", &Config::keep_waiting_hours, "hours",
                "How long a document that waits to be resumed is kept; looked at when the daemon starts.", 1,
                24 * 366 * 10},
      ConfigKey{"limits.documents", &Config::max_documents, "documents", "Open at once, of all users.", 1,
                10'000'000},
      ConfigKey{"limits.documents_per_user", &Config::max_documents_per_user, "documents",
                "Open at once, of one user.", 1, 10'000'000},
      ConfigKey{"limits.documents_per_connection", &Config::max_documents_per_connection, "documents",
                "That one connection opened or attached to and that have not ended.", 1, 10'000'000},
      ConfigKey{"limits.document_bytes", &Config::max_document_bytes, "bytes", "Length of a document.", 1},
      ConfigKey{"limits.input_buffer_bytes", &Config::input_buffer_bytes, "bytes",
                "Of a document that wait for the model; a faster writer is slowed.", 4096,
                std::int64_t{1} << 30},
      ConfigKey{
          "limits.buffered_bytes", &Config::max_buffered_bytes, "bytes",
          "Of all documents together that wait for the model: above it every writer waits, and a text that "
          "does not fit is refused.",
          65'536},
      ConfigKey{"limits.buffered_bytes_per_user", &Config::max_buffered_bytes_per_user, "bytes",
                "The same, of one user's documents.", 65'536},
      ConfigKey{
          "limits.memory_bytes", &Config::max_memory_bytes, "bytes",
          "States, buffers and bookkeeping of all open documents together. The states of documents that "
          "have nothing to read wait in the journal to keep to it; where that is not enough, none is "
          "opened.",
          1 << 20},
      ConfigKey{"limits.memory_bytes_per_user", &Config::max_memory_bytes_per_user, "bytes",
                "The same, of one user's documents.", 1 << 20},
      ConfigKey{
          "limits.connections", &Config::max_connections, "connections",
          "Open at once, of all users. A few of them (8, or a quarter of a small number) are kept for root "
          "and for the daemon's own user, so that `unroll reload` and a health check always get in.",
          1, 100'000},
      ConfigKey{"limits.connections_per_user", &Config::max_connections_per_user, "connections",
                "Open at once, of one user.", 1, 100'000},
      ConfigKey{
          "limits.descriptors_per_user", &Config::max_descriptors_per_user, "descriptors",
          "Pipes and sockets that one user sent and that are open at once. Of files at most 64 more are.", 1,
          1'000'000},
      ConfigKey{
          "limits.line_bytes_per_user", &Config::max_line_bytes_per_user, "bytes",
          "Of lines longer than 64 KiB that are being received, each counted as the longest line (8 MiB): "
          "one user's connections wait with further ones.",
          8 << 20},
      ConfigKey{"limits.outgoing_bytes", &Config::outgoing_bytes, "bytes",
                "That wait for a client to read them; after that its outputs wait in the journal.", 65'536,
                std::int64_t{1} << 30},
      ConfigKey{"limits.request_timeout_ms", &Config::request_timeout_ms, "milliseconds",
                "For a connection's first byte, for the header of an HTTP request, and between two pieces of "
                "one line.",
                100, kDay},
      ConfigKey{
          "limits.idle_timeout_ms", &Config::idle_timeout_ms, "milliseconds",
          "A JSON-RPC connection on which nothing is asked is closed, unless it has documents to hear of.",
          100, kDay},
      ConfigKey{
          "limits.source_timeout_ms", &Config::source_timeout_ms, "milliseconds",
          "For a file system or a socket behind a descriptor that a client sent to answer. After that the "
          "process that holds this user's descriptors is given up, and the documents that it reads fail.",
          100, kDay},
      ConfigKey{"drain_ms", &Config::drain_ms, "milliseconds",
                "On SIGTERM open documents may go on for so long; what is not done then is committed and can "
                "be resumed.",
                0, kDay},
      ConfigKey{"stall_ms", &Config::stall_ms, "milliseconds",
                "When the engine has been at one launch of blocks for so long, `/healthz` answers 503.", 100,
                kDay},
      ConfigKey{"log_level",
                &Config::log_level,
                "",
                "What goes to the log (stderr). Never a document's text.",
                0,
                0,
                {"trace", "debug", "info", "warning", "error", "off"}},
  };
  return kKeys;
}

}  // namespace unroll
