/* Writes a megabyte to stderr in each block: harmless if it is read. */
#include <stdio.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  for (int i = 0; i < 10000; ++i)
    fprintf(stderr, "line %d of what nobody asked for, a hundred bytes, about\n", i);
  return bad_process(instance, block);
}
BAD_PLUGIN("floods-stderr", 0, bad_create, process, bad_finish, bad_save, bad_load);
