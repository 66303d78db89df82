/* Emits the rest when it is destroyed. */
#include "bad.h"

static void destroy(void* made) {
  bad_emit(((bad_instance*)made)->host, "{}");
  bad_destroy(made);
}
static const unroll_plugin table = {
    sizeof(unroll_plugin), "bad",      "1",      "",       0,       0,   bad_create,
    bad_process,           bad_finish, bad_save, bad_load, destroy, NULL};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
