/* Crashes on the fourth block of a document. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  const volatile uintptr_t nowhere = 8;
  if (block->index == 3) *(volatile int*)nowhere = 1;
  return bad_process(instance, block);
}
BAD_PLUGIN("bad", 0, bad_create, process, bad_finish, bad_save, bad_load);
