/* Cannot be created while the file that its options name exists. */
#include <stdio.h>
#include <unistd.h>

#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  static const char kWhy[] = "it is broken";
  char path[4096];
  (void)bytes;
  if (sscanf(options, "{\"file\":\"%4095[^\"]\"}", path) == 1 && access(path, F_OK) == 0) {
    host->error(host, kWhy, sizeof kWhy - 1);
    return UNROLL_ERROR_INTERNAL;
  }
  return bad_create(host, options, bytes, instance);
}
BAD_PLUGIN("breakable", 0, create, bad_process, bad_finish, bad_save, bad_load);
