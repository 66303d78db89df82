#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  const unroll_status made = bad_create(host, options, bytes, instance);
  bad_emit(host, "{}");
  return made;
}
BAD_PLUGIN("bad", 0, create, bad_process, bad_finish, NULL, NULL);
