/* Valid, but refuses its options with a reason through host->error. */
#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  static const char kWhy[] = "option \"x\" must\nnot be there";
  if (bytes > 2) {
    host->error(host, kWhy, sizeof kWhy - 1);
    return UNROLL_ERROR_OPTIONS;
  }
  return bad_create(host, options, bytes, instance);
}
BAD_PLUGIN("picky", 0, create, bad_process, bad_finish, bad_save, bad_load);
