/* Valid: wants the 2 most probable alternatives and emits what it received. */
#include <stdio.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  char json[200];
  const int32_t* last = block->top_ids + (block->length - 1) * (size_t)block->top_k;
  snprintf(json, sizeof json, "{\"top_k\":%d,\"last\":[%d,%d],\"entropy\":%d,\"hidden\":%d,\"text\":%d}",
           (int)block->top_k, (int)last[0], (int)last[1], block->entropy != NULL, block->hidden != NULL,
           block->text != NULL);
  return bad_emit(((bad_instance*)instance)->host, json);
}
static const unroll_plugin table = {
    sizeof(unroll_plugin), "sees", "1", "", UNROLL_WANT_TOP_K, 2, bad_create, process, bad_finish, NULL, NULL,
    bad_destroy,           NULL};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
