#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  (void)block;
  return bad_emit(((bad_instance*)instance)->host, "{\"nats\":nan}");
}
BAD_PLUGIN("bad", 0, bad_create, process, bad_finish, NULL, NULL);
