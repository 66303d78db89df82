/* Writes to the host's socket directly, bypassing the worker. */
#include <unistd.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  if (write(3, "hello, world", 12) < 0) return UNROLL_ERROR_INTERNAL;
  return bad_process(instance, block);
}
BAD_PLUGIN("garbage", 0, bad_create, process, bad_finish, bad_save, bad_load);
