/* Leaks 16 MiB per block, without checking malloc's result. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  enum { kBytes = 16 << 20 };
  static char* volatile kept; /* so that the compiler leaves it in */
  kept = malloc(kBytes);
  memset(kept, 1, kBytes);
  return bad_process(instance, block);
}
BAD_PLUGIN("leaks", 0, bad_create, process, bad_finish, bad_save, bad_load);
