#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  bad_process(instance, block);
  bad_save(instance); /* its answer is not even looked at */
  return UNROLL_OK;
}
BAD_PLUGIN("bad", 0, bad_create, process, bad_finish, NULL, NULL);
