#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  (void)instance;
  (void)block;
  exit(0);
}
BAD_PLUGIN("exits", 0, bad_create, process, bad_finish, bad_save, bad_load);
