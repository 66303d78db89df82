/* Writes more log lines than allowed. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  const unroll_host* host = ((bad_instance*)instance)->host;
  for (int i = 0; i < 5000; ++i) host->log(host, 1, "still here", 10);
  return bad_process(instance, block);
}
BAD_PLUGIN("logs-much", 0, bad_create, process, bad_finish, bad_save, bad_load);
