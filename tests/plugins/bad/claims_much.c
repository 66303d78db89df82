/* Sends a frame that claims to be a terabyte long. */
#include <unistd.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  const struct {
    char magic[4];
    uint32_t json_bytes;
    uint64_t data_bytes;
  } header = {{'U', 'P', 'R', 'L'}, 20, (uint64_t)1 << 40};
  if (write(3, &header, sizeof header) < 0) return UNROLL_ERROR_INTERNAL;
  return bad_process(instance, block);
}
BAD_PLUGIN("claims-much", 0, bad_create, process, bad_finish, bad_save, bad_load);
