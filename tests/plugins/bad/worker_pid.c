/* Valid: emits its process id. With options, sleeps 300 ms in each block. */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  const unroll_status made = bad_create(host, options, bytes, instance);
  ((bad_instance*)*instance)->text = bytes > 2 ? "slow" : NULL;
  return made;
}
static unroll_status process(void* instance, const unroll_block* block) {
  bad_instance* self = instance;
  if (self->text != NULL) usleep(300 * 1000);
  self->tokens += block->length;
  char json[100];
  snprintf(json, sizeof json, "{\"pid\":%d,\"tokens\":%d}", (int)getpid(), (int)self->tokens);
  return bad_emit(self->host, json);
}
BAD_PLUGIN("worker-pid", 0, create, process, bad_finish, bad_save, bad_load);
