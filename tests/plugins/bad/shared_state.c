/* One count for all documents. */
#include "bad.h"

static _Atomic uint64_t count; /* a race would be another fault */

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  count = 0;
  return bad_create(host, options, bytes, instance);
}
static unroll_status process(void* instance, const unroll_block* block) {
  (void)instance;
  count += block->length;
  return UNROLL_OK;
}
static unroll_status finish(void* instance, const unroll_document_end* end) {
  return bad_emit(((bad_instance*)instance)->host, count == end->tokens ? "true" : "false");
}
static unroll_status save(void* instance) {
  const unroll_host* host = ((bad_instance*)instance)->host;
  const uint64_t now = count;
  return host->write(host, &now, sizeof now);
}
static unroll_status load(void* instance, const void* data, size_t bytes) {
  (void)instance;
  uint64_t loaded;
  if (bytes != sizeof loaded) return UNROLL_ERROR_STATE;
  memcpy(&loaded, data, bytes);
  count = loaded;
  return UNROLL_OK;
}
BAD_PLUGIN("bad", 0, create, process, finish, save, load);
