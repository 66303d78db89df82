/* A valid plugin in C that does nothing. Each file here breaks one thing in it. */
#ifndef UNROLL_TESTS_BAD_H
#define UNROLL_TESTS_BAD_H

#include <stdlib.h>
#include <string.h>
#include <unroll/plugin.h>

/* The state of an instance. */
typedef struct bad_instance {
  const unroll_host* host;
  uint64_t tokens;
  const char* text; /* of the first block: to keep it is wrong */
} bad_instance;

static inline unroll_status bad_create(const unroll_host* host, const char* options, size_t bytes,
                                       void** instance) {
  (void)options;
  (void)bytes;
  bad_instance* self = calloc(1, sizeof *self);
  if (self == NULL) return UNROLL_ERROR_INTERNAL;
  self->host = host;
  *instance = self;
  return UNROLL_OK;
}
static inline unroll_status bad_process(void* instance, const unroll_block* block) {
  ((bad_instance*)instance)->tokens += block->length;
  return UNROLL_OK;
}
static inline unroll_status bad_emit(const unroll_host* host, const char* json) {
  return host->emit(host, json, strlen(json));
}
static inline unroll_status bad_finish(void* instance, const unroll_document_end* end) {
  (void)end;
  return bad_emit(((bad_instance*)instance)->host, "{}");
}
static inline unroll_status bad_save(void* instance) {
  bad_instance* self = instance;
  return self->host->write(self->host, &self->tokens, sizeof self->tokens);
}
static inline unroll_status bad_load(void* instance, const void* data, size_t bytes) {
  bad_instance* self = instance;
  if (bytes != sizeof self->tokens) return UNROLL_ERROR_STATE;
  memcpy(&self->tokens, data, bytes);
  return UNROLL_OK;
}
static inline void bad_destroy(void* instance) {
  free(instance);
}

/* The rest of the table is valid. */
#define BAD_PLUGIN(NAME, WANTS, CREATE, PROCESS, FINISH, SAVE, LOAD)                              \
  static const unroll_plugin bad_table = {sizeof(unroll_plugin),                                  \
                                          NAME,                                                   \
                                          "1",                                                    \
                                          "does one thing wrong",                                 \
                                          WANTS,                                                  \
                                          0,                                                      \
                                          CREATE,                                                 \
                                          PROCESS,                                                \
                                          FINISH,                                                 \
                                          SAVE,                                                   \
                                          LOAD,                                                   \
                                          bad_destroy,                                            \
                                          NULL};                                                  \
  static const unroll_plugin* const bad_tables[] = {&bad_table};                                  \
  UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library), \
                                                                   UNROLL_ABI_VERSION, 1, bad_tables}

#endif
