/* Emits something else each time. */
#include "bad.h"

static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)end;
  static _Atomic int runs;
  return bad_emit(((bad_instance*)instance)->host, ++runs % 2 == 0 ? "0" : "1");
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, finish, NULL, NULL);
