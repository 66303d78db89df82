/* Its table ends behind `destroy`, the least that ABI 1 allows; what lies behind is not the host's to read.
 */
#include "../bad/bad.h"

#define LEAST (offsetof(unroll_plugin, destroy) + sizeof(void (*)(void*)))

static const void* extension(const char* name) {
  (void)name;
  abort(); /* behind the end of what the table says it has */
}
static const unroll_plugin table = {LEAST,    "smallest",  "1",         "",         0,
                                    0,        bad_create,  bad_process, bad_finish, bad_save,
                                    bad_load, bad_destroy, extension};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
