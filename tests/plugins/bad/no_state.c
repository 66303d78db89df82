/* Counts over blocks, but does not save the count. */
#include "bad.h"

static unroll_status finish(void* instance, const unroll_document_end* end) {
  const bad_instance* self = instance;
  return bad_emit(self->host, self->tokens == end->tokens ? "\"all\"" : "\"some\"");
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, finish, NULL, NULL);
