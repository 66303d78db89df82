#define _GNU_SOURCE
#include <sys/types.h>
#include <unistd.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  if (fork() == 0) _exit(0);
  return bad_process(instance, block);
}
BAD_PLUGIN("starts-processes", 0, bad_create, process, bad_finish, bad_save, bad_load);
