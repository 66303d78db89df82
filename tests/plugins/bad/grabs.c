/* Allocates all memory in one call. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  enum { kBytes = 1 << 20 };
  for (;;) {
    volatile char* more = malloc(kBytes);
    for (size_t i = 0; i < kBytes; i += 4096) more[i] = 1;
  }
  return bad_process(instance, block);
}
BAD_PLUGIN("grabs", 0, bad_create, process, bad_finish, bad_save, bad_load);
