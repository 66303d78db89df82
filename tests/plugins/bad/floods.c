/* Emits outputs without end, whatever the host answers. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  enum { kBytes = 1 << 20 };
  char* json = malloc(kBytes);
  memset(json, 'a', kBytes);
  json[0] = json[kBytes - 1] = '"';
  const unroll_host* host = ((bad_instance*)instance)->host;
  for (int i = 0; i < 200; ++i) host->emit(host, json, kBytes);
  free(json);
  return bad_process(instance, block);
}
BAD_PLUGIN("floods", 0, bad_create, process, bad_finish, bad_save, bad_load);
