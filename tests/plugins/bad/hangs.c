/* Never returns from the first block of a document whose options ask for it. */
#include "bad.h"

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  const unroll_status made = bad_create(host, options, bytes, instance);
  ((bad_instance*)*instance)->text = bytes > 2 ? "hang" : NULL;
  return made;
}
static unroll_status process(void* instance, const unroll_block* block) {
  for (volatile int forever = ((bad_instance*)instance)->text != NULL; forever;) {
  }
  return bad_process(instance, block);
}
BAD_PLUGIN("hangs", 0, create, process, bad_finish, bad_save, bad_load);
