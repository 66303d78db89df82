/* Saves something else each time. */
#include "bad.h"

static unroll_status save(void* instance) {
  ((bad_instance*)instance)->tokens += 1;
  return bad_save(instance);
}
BAD_PLUGIN("bad", 0, bad_create, bad_process, bad_finish, save, bad_load);
