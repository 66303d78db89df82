/* Never returns from finish. */
#include <unistd.h>

#include "bad.h"

static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)instance, (void)end;
  while (pause() != 0) {
  }
  return UNROLL_OK;
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, finish, bad_save, bad_load);
