#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  (void)instance;
  ((float*)block->logprobs)[0] = 1.0f;
  return UNROLL_OK;
}
BAD_PLUGIN("writes-into-block", 0, bad_create, process, bad_finish, NULL, NULL);
