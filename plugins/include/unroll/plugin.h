/* The plugin interface of unroll: one header, C11, nothing else to include or link.
 *
 * A plugin is a shared library that exports one symbol, `unroll_plugin_entry`. The host makes an instance for
 * each document that asks for the plugin, gives it the document's blocks in order, and writes down what it
 * emits.
 *
 * Lifetime of an instance: create, [load], process*, then finish or not, [save between any two calls],
 * destroy.
 *
 * Threads: all calls for one instance come one after another, each on any thread; instances may run at once.
 *
 * Memory: what a pointer argument points at is borrowed until the call returns; copy what is kept.
 *
 * Units: offsets and lengths in bytes of the original document; probabilities as natural logarithms (nats).
 *
 * Errors: a function returns UNROLL_OK or another status; say why with host->error first. No exception may
 * cross.
 *
 * Versions: every struct begins with its size in bytes as its author knew it. Fields are only ever added at
 * the end: read a field only where `size` reaches behind it. UNROLL_ABI_VERSION changes when that rule must
 * be broken. */
#ifndef UNROLL_PLUGIN_H
#define UNROLL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNROLL_ABI_VERSION 1u

typedef int32_t unroll_status;
#define UNROLL_OK 0
#define UNROLL_ERROR_OPTIONS 1  /* the document's options for this plugin are not understood */
#define UNROLL_ERROR_STATE 2    /* load was given bytes that save did not write */
#define UNROLL_ERROR_INTERNAL 3 /* anything else */

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

/* A block of the document: `length` tokens in a row. Arrays not wanted are NULL. */
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

/* What the host offers. Valid from create to destroy; call its functions only from inside a call of the
 * host's. */
typedef struct unroll_host unroll_host;
struct unroll_host {
  size_t size;
  void* data; /* the host's own */
  /* Emits one output of the document: a JSON text (UTF-8, one value, no newline needed). The bytes are
   * copied. */
  unroll_status (*emit)(const unroll_host* host, const char* json, size_t bytes);
  /* Says why the status about to be returned is not UNROLL_OK: UTF-8 text that tells the user what to do.
   * Copied. */
  void (*error)(const unroll_host* host, const char* text, size_t bytes);
  /* A line for the daemon's log; level 0 debug, 1 info, 2 warning, 3 error. Never the document's text.
   * Copied. */
  void (*log)(const unroll_host* host, int32_t level, const char* text, size_t bytes);
  /* An ability by name, or NULL where this host lacks it. Static lifetime. */
  const void* (*extension)(const unroll_host* host, const char* name);
  /* Takes bytes inside save: may be called several times, the pieces are put together. Copied. */
  unroll_status (*write)(const unroll_host* host, const void* data, size_t bytes);
};

/* Extensions: abilities beyond these structs, by name. A name ends in its version; each struct begins with
 * its size. */

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

typedef struct unroll_plugin {
  size_t size;             /* sizeof(unroll_plugin) as the plugin knows it */
  const char* name;        /* [a-z][a-z0-9-]{0,31}; what a document asks for */
  const char* version;     /* free text */
  const char* description; /* one line for people */
  uint32_t wants;          /* UNROLL_WANT_* */
  int32_t top_k;           /* with UNROLL_WANT_TOP_K, 1 to 64 */
  /* Makes an instance for one document. `options`: a JSON object (UTF-8, "{}" where none were given). */
  unroll_status (*create)(const unroll_host* host, const char* options, size_t bytes, void** instance);
  unroll_status (*process)(void* instance, const unroll_block* block);
  /* The document has ended: emit what is left. Not called when the document failed or was cancelled. */
  unroll_status (*finish)(void* instance, const unroll_document_end* end);
  /* Hands the instance's whole state to host->write, in a form of the plugin's own that tells its version. A
   * new instance that loads it must go on to emit just what this one would have. Both NULL: nothing is kept
   * from one block to the next. */
  unroll_status (*save)(void* instance);
  unroll_status (*load)(void* instance, const void* data, size_t bytes);
  void (*destroy)(void* instance);
  /* An ability by name, or NULL. May itself be NULL. Static lifetime. */
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
