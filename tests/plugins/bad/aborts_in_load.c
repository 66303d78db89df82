/* Aborts on any state. */
#include "bad.h"

static unroll_status load(void* instance, const void* data, size_t bytes) {
  (void)instance, (void)data, (void)bytes;
  abort();
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, bad_finish, bad_save, load);
