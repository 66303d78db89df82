/* Does not return from create until the file that its options name exists. */
#include <stdio.h>
#include <unistd.h>

#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  char path[4096];
  (void)bytes;
  if (sscanf(options, "{\"file\":\"%4095[^\"]\"}", path) == 1) {
    while (access(path, F_OK) != 0) usleep(1000);
  }
  return bad_create(host, options, bytes, instance);
}
BAD_PLUGIN("waits-in-create", 0, create, bad_process, bad_finish, bad_save, bad_load);
