/* Leaks 20 bytes, for which malloc takes 32, in each document. */
#include "bad.h"

static void* volatile lost;
static unroll_status finish(void* instance, const unroll_document_end* end) {
  lost = malloc(20);
  return bad_finish(instance, end);
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, finish, bad_save, bad_load);
