/* The plugin interface of unroll: one header, C11, nothing else to include or link. This is its manual.
 *
 * A plugin is a shared library that exports one symbol, `unroll_plugin_entry`: a table of plugins, each a
 * table of functions. For each document that asks for a plugin the host makes an instance, gives it the
 * document's blocks in order, each once, and writes down what it emits.
 *
 * ORDER OF CALLS
 *
 *      create --> FRESH --process--> RUNNING --finish--> FINISHED
 *                 |   ^              |  ^  |                |
 *                 +load              +process               |
 *                 |                  |                      |
 *                 +------------------+------ destroy -------+
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
 *   Whatever a pointer argument points at is borrowed until the call returns, in either direction; who keeps
 *   it copies it. Blocks are read-only. The `host` of create stays valid until destroy returns. What is said
 *   to have static lifetime stays valid while the library is loaded.
 *
 * UNITS
 *
 *   Offsets and lengths: bytes of the original document, from 0. Probabilities and entropies: nats (natural
 *   logarithms); bits are nats divided by ln 2. All numbers are in the machine's own byte order.
 *
 * ERRORS
 *
 *   A function says why with host->error and returns a status. The document fails with that text; other
 *   documents go on. No C++ exception and no longjmp may cross: in the worker it is a failure like another.
 *
 * LIMITS (a plugin that exceeds one fails its document)
 *
 *   16 MiB for one output, nested 100 deep; 64 MiB for all outputs of one call; 64 MiB for a state; 4 KiB of
 *   an error's text or a line of log, the rest is cut off; 1000 lines of log for an instance, more are left
 *   out; a deadline for each call and a limit of memory for each process, both from the host's configuration.
 *
 * PROCESSES
 *
 *   A library runs in worker processes of its own, several of its instances in each: a crash costs the
 *   document whose call it was and no other. A worker may be ended between any two calls, and an instance go
 *   on in another one by create and load. Blocks lie in memory that is shared and read-only: writing to one
 * is a segmentation fault. A worker is locked in: no network, no files written, no processes started, unless
 *   NAME.manifest.json beside NAME.so asks for it. An administrator can run a trusted library inside the
 *   daemon instead; a plugin need not know.
 *
 * VERSIONS
 *
 *   Every struct that crosses begins with its size in bytes as its author knew it. Fields are only ever added
 *   at the end: read one that came later only where `size` reaches behind it, and never ask whether a size is
 *   equal to one's own. (unroll_tensor is fixed and has no size.) A meaning never changes under an old name.
 *   UNROLL_ABI_VERSION changes when these rules must be broken; a host refuses a library of another version.
 *   Bits of `wants` that a host does not know make it refuse the plugin: it needs a newer host.
 *   Abilities beyond the structs go by name, see "Extensions". */
#ifndef UNROLL_PLUGIN_H
#define UNROLL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNROLL_ABI_VERSION 1u

/* What a function returns. A status that is none of these counts as UNROLL_ERROR_INTERNAL. */
typedef int32_t unroll_status;
#define UNROLL_OK 0
/* From create: the options are not understood. The user is told at once, nothing of the document is read. */
#define UNROLL_ERROR_OPTIONS 1
/* From load: these bytes are not a state of this version's. The document cannot be resumed and fails. */
#define UNROLL_ERROR_STATE 2
/* Anything else. The document fails. */
#define UNROLL_ERROR_INTERNAL 3

/* What a plugin wants of each block; what nobody wants is not computed. Log-probabilities always come. */
#define UNROLL_WANT_ENTROPY (1u << 0)
#define UNROLL_WANT_HIDDEN (1u << 1)
#define UNROLL_WANT_TEXT (1u << 2)
#define UNROLL_WANT_TOP_K (1u << 3) /* how many: unroll_plugin.top_k */

/* A tensor, laid out as DLPack's DLTensor (dmlc/dlpack 1.0, same field order): it can be handed on as one. */
typedef struct unroll_tensor {
  void* data;
  int32_t device_type; /* kDLCPU 1, kDLCUDA 2 */
  int32_t device_id;
  int32_t ndim;
  uint8_t dtype_code; /* kDLInt 0, kDLUInt 1, kDLFloat 2, kDLBfloat 4 */
  uint8_t dtype_bits;
  uint16_t dtype_lanes;
  int64_t* shape;
  int64_t* strides; /* in elements; NULL where compact and row-major */
  uint64_t byte_offset;
} unroll_tensor;

/* A block of the document: `length` tokens in a row, at least one. Where blocks end may differ from one
 * reading to the next, and a token may end anywhere, also inside a UTF-8 sequence; a token may have no bytes.
 * Arrays that the plugin did not want are NULL. Borrowed, with all that it points at, until process returns.
 */
typedef struct unroll_block {
  size_t size;             /* sizeof(unroll_block) as the host knows it */
  uint64_t index;          /* of this block in the document, from 0 */
  uint64_t first_token;    /* index of tokens[0] in the document, from 0 */
  size_t length;           /* tokens in this block */
  const int32_t* tokens;   /* [length] vocabulary ids */
  const uint64_t* offsets; /* [length + 1] bytes: token i is offsets[i] to offsets[i + 1] of the document */
  const float* logprobs;   /* [length] nats: log p(token i | everything before it) */
  const float* entropy;    /* [length] nats: of the distribution that token i was drawn from */
  const unroll_tensor* hidden; /* [length, dim] the last layer's output where token i is predicted from */
  const char* text;            /* the bytes offsets[0] up to offsets[length], any bytes, not ended by a NUL */
  size_t text_bytes;
  int32_t top_k;             /* how many alternatives there are for each token */
  const int32_t* top_ids;    /* [length, top_k] most probable first */
  const float* top_logprobs; /* [length, top_k] nats */
} unroll_block;

/* The whole document, when it has ended. */
typedef struct unroll_document_end {
  size_t size;
  uint64_t tokens;
  uint64_t bytes;
} unroll_document_end;

/* What the host offers to one instance. */
typedef struct unroll_host unroll_host;
struct unroll_host {
  size_t size;
  void* data; /* the host's own */
  /* Emits one output of the document, from process and finish only: a JSON text (UTF-8, one value, no newline
   * needed). Copied. Not UNROLL_OK: it is no JSON, too large, or out of place, and the document has failed
   * whatever is returned after that; return that status. The same document must give the same outputs each
   * time: no clocks, no addresses, no random numbers. */
  unroll_status (*emit)(const unroll_host* host, const char* json, size_t bytes);
  /* Says why the status about to be returned is not UNROLL_OK, from any call but destroy: UTF-8 text that
   * tells the user what to do. The last one counts. Copied. */
  void (*error)(const unroll_host* host, const char* text, size_t bytes);
  /* A line for the daemon's log, from any call; level 0 debug, 1 info, 2 warning, 3 error. Never the
   * document's text. Copied. */
  void (*log)(const unroll_host* host, int32_t level, const char* text, size_t bytes);
  /* An ability by name, from any call; NULL where this host lacks it: do without. Static lifetime. */
  const void* (*extension)(const unroll_host* host, const char* name);
  /* Takes bytes, inside save only: may be called several times, the pieces are put together. Copied. Not
   * UNROLL_OK: they are too many; return that status. */
  unroll_status (*write)(const unroll_host* host, const void* data, size_t bytes);
};

/* EXTENSIONS: abilities beyond these structs, by name. A name ends in its version; under that name the struct
 * only grows. Each side asks the other and does without what it is not given; asking for a name that nobody
 * knows is no error. Names that begin with "unroll." are this project's. */

/* Of the host, UNROLL_EXTENSION_VOCABULARY: what the ids in a block stand for. */
#define UNROLL_EXTENSION_VOCABULARY "unroll.vocabulary/1"
typedef struct unroll_vocabulary {
  size_t size;
  /* How many ids there are: 0 up to count. */
  int32_t (*count)(const unroll_host* host);
  /* The bytes that token `id` stands for, any bytes, not ended by a NUL; NULL where there is no such id.
   * Borrowed until the instance is destroyed. */
  const char* (*token)(const unroll_host* host, int32_t id, size_t* bytes);
} unroll_vocabulary;

/* Of the plugin, UNROLL_EXTENSION_OPTIONS: what options it takes. */
#define UNROLL_EXTENSION_OPTIONS "unroll.options/1"
typedef struct unroll_options {
  size_t size;
  /* A JSON Schema (UTF-8) of the options' object, shown by `unroll plugin list`. Static lifetime. */
  const char* schema;
} unroll_options;

/* One plugin. Static lifetime, never changed. The functions that take an instance are given what create made.
 */
typedef struct unroll_plugin {
  size_t size;             /* sizeof(unroll_plugin) as the plugin knows it */
  const char* name;        /* [a-z][a-z0-9-]{0,31}; what a document asks for */
  const char* version;     /* free text */
  const char* description; /* one line for people */
  uint32_t wants;          /* UNROLL_WANT_* */
  int32_t top_k;           /* with UNROLL_WANT_TOP_K, 1 to 64 */
  /* Makes an instance for one document and stores it in *instance (NULL is as good as any). `options`: a JSON
   * object (UTF-8, `bytes` long, not ended by a NUL, "{}" where none were given); refuse a key that is not
   * known, so that who misspells one notices. May be slow; required. */
  unroll_status (*create)(const unroll_host* host, const char* options, size_t bytes, void** instance);
  /* The next block. It may emit any number of outputs, also none. What the instance keeps must not grow with
   * the document: documents have no end in sight. Required. */
  unroll_status (*process)(void* instance, const unroll_block* block);
  /* The document has ended: emit what is left. Not called when it failed or was cancelled. Required. */
  unroll_status (*finish)(void* instance, const unroll_document_end* end);
  /* save hands the instance's whole state to host->write, in a form of the plugin's own that tells its
   * version and length; it changes nothing, and twice in a row gives the same bytes. It may come after every
   * block, so a state is best a few kilobytes. load gives such bytes to a new instance of the same options,
   * which must go on to emit just what the old one would have; the bytes may come from another version of the
   * plugin or be damaged, and must then be refused. Both NULL: nothing is kept from one block to the next. */
  unroll_status (*save)(void* instance);
  unroll_status (*load)(void* instance, const void* data, size_t bytes);
  /* Frees the instance. Of the host's functions only log. Required. */
  void (*destroy)(void* instance);
  /* An ability by name, or NULL. Called on any thread, before any instance is there. May itself be NULL.
   * Static lifetime. */
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
