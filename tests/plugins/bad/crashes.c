/* Reads unmapped memory in the second block. */
#include "bad.h"

__attribute__((no_sanitize_undefined)) static unroll_status process(void* instance,
                                                                    const unroll_block* block) {
  static volatile unroll_status* volatile nowhere;
  if (block->index == 1) return *nowhere;
  return bad_process(instance, block);
}
BAD_PLUGIN("crashes", 0, bad_create, process, bad_finish, bad_save, bad_load);
