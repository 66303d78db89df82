/* The plugin interface of unroll: one header, C11, nothing else to include or link. This is its manual.
 *
 * A plugin is a shared library that exports one symbol, `unroll_plugin_entry`: a table of plugins, each a
 * table of functions. For each document that asks for a plugin, the host creates an instance, passes it the
 * document's blocks in order, each once, and stores what it emits.
 *
 * ORDER OF CALLS
 *
 *      create --> FRESH --process--> RUNNING --finish--> FINISHED
 *                 |   ^              |  ^  |                |
 *                 +load              +process               |
 *                 |                  |                      |
 *                 +------------------+------ destroy -------+
 *
 *   A plugin with UNROLL_EXTENSION_FORK: fork comes in FRESH and RUNNING, and leads to RUNNING.
 *
 *   load comes at most once and only in FRESH; save in any of the three; an empty document goes from FRESH to
 *   finish. A function that returns another status than UNROLL_OK ends the instance: only destroy follows.
 *   destroy comes exactly once for each create that returned UNROLL_OK, whatever happened in between, and
 *   never for one that did not.
 *
 * THREADS
 *
 *   Calls for one instance come one after another, each on any thread: no thread-local variables. Several
 *   instances may be called at the same time: what they share needs a lock. The host's functions are called
 *   only from inside one of the plugin's, on the thread that it was called on, with that instance's host.
 *
 * MEMORY
 *
 *   In either direction, memory behind a pointer argument is borrowed until the call returns: copy it to keep
 *   it. Blocks are read-only. The `host` of create stays valid until destroy returns. Objects with static
 *   lifetime stay valid while the library is loaded.
 *
 * UNITS
 *
 *   Offsets and lengths: bytes of the original document, from 0. Probabilities and entropies: nats (natural
 *   logarithms); bits are nats divided by ln 2. All numbers are in the machine's own byte order.
 *
 * ERRORS
 *
 *   A function gives the reason with host->error and returns a status. The document fails with that text;
 *   others continue. No C++ exception or longjmp may leave a function; in a worker this fails the document.
 *
 * LIMITS (a plugin that exceeds one fails its document)
 *
 *   16 MiB for one output, nested 100 deep; 64 MiB for all outputs of one call; 64 MiB for a state; 4 KiB for
 *   an error's text or a log line (longer text is cut); 1000 log lines per instance (further lines are
 *   dropped); a deadline for each call and a memory limit for each process, both set in the configuration.
 *
 * PROCESSES
 *
 *   A library runs in worker processes of its own, several of its instances in each: a crash fails only the
 *   document whose call it was. The host may end a worker between any two calls, and continue an instance in
 *   another worker by create and load. Blocks are in shared, read-only memory: writing to one is a
 *   segmentation fault. A worker is sandboxed: no network, no writing of files, no new processes, unless
 *   NAME.manifest.json beside NAME.so asks for it. An administrator can run a trusted library inside the
 *   daemon instead; this makes no difference to a plugin.
 *
 * VERSIONS
 *
 *   Every struct begins with its size in bytes as known to the side that filled it in. Fields are only added
 *   at the end: read a later field only if `size` includes it, and never test a size for equality. The
 *   exception is unroll_tensor, which is fixed and has no size. The meaning of a name never changes.
 *   UNROLL_ABI_VERSION changes if these rules must be broken; a host refuses a library of another version.
 *   A host refuses a plugin with unknown bits in `wants`: the plugin needs a newer host.
 *   Optional features beyond the structs are requested by name: see EXTENSIONS. */
#ifndef UNROLL_PLUGIN_H
#define UNROLL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNROLL_ABI_VERSION 1u

/* Returned by functions. Any other status counts as UNROLL_ERROR_INTERNAL. */
typedef int32_t unroll_status;
#define UNROLL_OK 0
/* From create: invalid options. The user gets the error at once, before the document is read. */
#define UNROLL_ERROR_OPTIONS 1
/* From load: the bytes are not a state of this version. The document cannot be resumed and fails. */
#define UNROLL_ERROR_STATE 2
/* Any other error. The document fails. */
#define UNROLL_ERROR_INTERNAL 3

/* The optional fields of a block that a plugin wants; others are not computed. logprobs is always set. */
#define UNROLL_WANT_ENTROPY (1u << 0)
#define UNROLL_WANT_HIDDEN (1u << 1)
#define UNROLL_WANT_TEXT (1u << 2)
#define UNROLL_WANT_TOP_K (1u << 3) /* how many: unroll_plugin.top_k */
#define UNROLL_WANT_WORD_END (1u << 4)
#define UNROLL_WANT_RANK (1u << 5)

/* A tensor, with the layout of DLPack's DLTensor (dmlc/dlpack 1.0): it can be passed on as one. */
typedef struct unroll_tensor {
  void* data;
  int32_t device_type; /* kDLCPU 1, kDLCUDA 2 */
  int32_t device_id;
  int32_t ndim;
  uint8_t dtype_code; /* kDLInt 0, kDLUInt 1, kDLFloat 2, kDLBfloat 4 */
  uint8_t dtype_bits;
  uint16_t dtype_lanes;
  int64_t* shape;
  int64_t* strides; /* in elements; NULL if compact and row-major */
  uint64_t byte_offset;
} unroll_tensor;

/* A block of the document: `length` consecutive tokens, at least one. Block boundaries may differ each time a
 * document is read. A token may end anywhere, also inside a UTF-8 sequence, and may have no bytes. Arrays
 * that the plugin did not want are NULL. Borrowed, with everything it points at, until process returns.
 */
typedef struct unroll_block {
  size_t size;             /* sizeof(unroll_block) as the host knows it */
  uint64_t index;          /* of this block in the document, from 0 */
  uint64_t first_token;    /* index of tokens[0] in the document, from 0 */
  size_t length;           /* tokens in this block */
  const int32_t* tokens;   /* [length] vocabulary ids */
  const uint64_t* offsets; /* [length + 1] bytes: token i is offsets[i] to offsets[i + 1] of the document */
  const float* logprobs;   /* [length] nats: log p(token i | all tokens before it) */
  const float* entropy;    /* [length] nats: of the distribution that token i was predicted with */
  const unroll_tensor* hidden; /* [length, dim] the last layer's output from which token i is predicted */
  const char* text;            /* bytes offsets[0] to offsets[length]; arbitrary bytes without a final NUL */
  size_t text_bytes;
  int32_t top_k;             /* number of alternatives for each token */
  const int32_t* top_ids;    /* [length, top_k] most probable first */
  const float* top_logprobs; /* [length, top_k] nats */
  /* [length] nats: log of the probability that a word ends before token i: that of all tokens that begin with
   * white space (ASCII) and of those that end a text, in the distribution that token i was predicted with */
  const float* word_end;
  const int32_t* ranks; /* [length] of token i in that distribution: 1 is the most probable token */
} unroll_block;

/* The totals of the document. */
typedef struct unroll_document_end {
  size_t size;
  uint64_t tokens;
  uint64_t bytes;
  float word_end; /* with UNROLL_WANT_WORD_END: of the distribution after the last token; else 0 */
} unroll_document_end;

/* The host's functions for one instance. */
typedef struct unroll_host unroll_host;
struct unroll_host {
  size_t size;
  void* data; /* private to the host */
  /* Emits one output, from process and finish only: JSON text (UTF-8, one value, no newline needed), which is
   * copied. If it returns another status than UNROLL_OK, the output is not valid JSON, too large, or emitted
   * from elsewhere, and the document has failed: return that status. The same document must always give the
   * same outputs: do not emit times, addresses or random numbers. */
  unroll_status (*emit)(const unroll_host* host, const char* json, size_t bytes);
  /* Gives the reason for the status about to be returned, from any call but destroy: UTF-8 text that says
   * what the user should do. The last text counts. Copied. */
  void (*error)(const unroll_host* host, const char* text, size_t bytes);
  /* Writes a line to the daemon's log, from any call; level 0 debug, 1 info, 2 warning, 3 error. Never log
   * the document's text. Copied. */
  void (*log)(const unroll_host* host, int32_t level, const char* text, size_t bytes);
  /* Returns an extension by name, from any call; NULL if this host does not have it. Static lifetime. */
  const void* (*extension)(const unroll_host* host, const char* name);
  /* Appends bytes to the state, from save only; may be called several times. Copied. If it returns another
   * status than UNROLL_OK, the state is too large: return that status. */
  unroll_status (*write)(const unroll_host* host, const void* data, size_t bytes);
};

/* EXTENSIONS: optional features beyond these structs, by name. A name ends in its version; the struct of a
 * name only grows. Each side asks the other and must work without the extension; asking for an unknown name
 * is not an error. Names that begin with "unroll." are reserved for this project. */

/* Extension of the host, UNROLL_EXTENSION_VOCABULARY: the bytes of each token id. */
#define UNROLL_EXTENSION_VOCABULARY "unroll.vocabulary/1"
typedef struct unroll_vocabulary {
  size_t size;
  /* The number of ids; ids are 0 to count - 1. */
  int32_t (*count)(const unroll_host* host);
  /* The bytes of token `id`: arbitrary bytes without a final NUL; NULL if there is no such id. Borrowed until
   * the instance is destroyed. */
  const char* (*token)(const unroll_host* host, int32_t id, size_t* bytes);
} unroll_vocabulary;

/* Extension of the plugin, UNROLL_EXTENSION_OPTIONS: a description of its options. */
#define UNROLL_EXTENSION_OPTIONS "unroll.options/1"
typedef struct unroll_options {
  size_t size;
  /* A JSON Schema (UTF-8) of the options object, shown by `unroll plugin list`. Static lifetime. */
  const char* schema;
} unroll_options;

/* Extension of the plugin, UNROLL_EXTENSION_FORK: how an instance goes on with a new document, from a
 * snapshot that was taken after another one. A plugin that keeps a state and lacks this cannot be used with
 * such a document; one without save and load needs it not. */
#define UNROLL_EXTENSION_FORK "unroll.fork/1"
/* Where the document before ended and the new one begins. */
typedef struct unroll_fork_point {
  size_t size;
  uint64_t tokens; /* of the document before, in the blocks that the instance has had */
  uint64_t bytes;  /* of the document before */
  /* With UNROLL_WANT_TEXT: its last bytes, if no block had them, as they begin a token that ends in the new
   * document. That token is the first of the next block, with the new document's bytes only. Else NULL. */
  const char* head;
  size_t head_bytes;
} unroll_fork_point;
typedef struct unroll_fork {
  size_t size;
  /* Comes at most once between two blocks, also before the first one. What the instance has learned stays;
   * what it would report of the document before goes. Blocks after it count from 0 again: index, first_token
   * and offsets. Emits nothing. A fork of a new instance changes nothing, nor does a second one in a row with
   * 0 tokens and 0 bytes. */
  unroll_status (*fork)(void* instance, const unroll_fork_point* point);
} unroll_fork;

/* One plugin. Static lifetime; must not change. `instance` arguments are what create stored in *instance.
 */
typedef struct unroll_plugin {
  size_t size;             /* sizeof(unroll_plugin) as the plugin knows it */
  const char* name;        /* [a-z][a-z0-9-]{0,31}; documents ask for it by this name */
  const char* version;     /* free text */
  const char* description; /* one line for people */
  uint32_t wants;          /* UNROLL_WANT_* */
  int32_t top_k;           /* with UNROLL_WANT_TOP_K, 1 to 64 */
  /* Creates an instance for one document and stores it in *instance (NULL is allowed). `options`: a JSON
   * object (UTF-8, `bytes` long, no final NUL, "{}" if none were given). Refuse unknown keys, so that a
   * misspelled option is noticed. May be slow. Required. */
  unroll_status (*create)(const unroll_host* host, const char* options, size_t bytes, void** instance);
  /* Takes the next block. May emit any number of outputs. The instance's memory must not grow with the
   * document: documents can be endless. Required. */
  unroll_status (*process)(void* instance, const unroll_block* block);
  /* The document has ended: emit the rest. Not called if it failed or was cancelled. Required. */
  unroll_status (*finish)(void* instance, const unroll_document_end* end);
  /* save writes the instance's whole state with host->write, in a format that contains its version and
   * length. It must not change the state; two calls in a row give the same bytes. It may be called after
   * every block, so a state should be a few kilobytes. load passes such bytes to a new instance with the same
   * options, which must then emit what the old one would have. The bytes may come from another version of the
   * plugin or be damaged; refuse them then. Both NULL: the plugin keeps no state between blocks. */
  unroll_status (*save)(void* instance);
  unroll_status (*load)(void* instance, const void* data, size_t bytes);
  /* Frees the instance. May call only host->log. Required. */
  void (*destroy)(void* instance);
  /* Returns an extension by name, or NULL. Called on any thread, before any instance exists. The function
   * pointer may be NULL. Static lifetime. */
  const void* (*extension)(const char* name);
} unroll_plugin;

/* The exported symbol: `const unroll_plugin_library unroll_plugin_entry = {...};` */
typedef struct unroll_plugin_library {
  size_t size;
  uint32_t abi_version; /* UNROLL_ABI_VERSION */
  uint32_t count;
  const unroll_plugin* const* plugins; /* [count] static lifetime */
} unroll_plugin_library;

#if defined(__GNUC__)
#define UNROLL_EXPORT __attribute__((visibility("default")))
#else
#define UNROLL_EXPORT
#endif
#ifndef UNROLL_HOST_BUILD
UNROLL_EXPORT extern const unroll_plugin_library unroll_plugin_entry;
#endif

#ifdef __cplusplus
}
#endif
#endif /* UNROLL_PLUGIN_H */
