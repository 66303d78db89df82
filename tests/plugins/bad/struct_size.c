/* A table whose size is smaller than in ABI 1. */
#include "bad.h"

static const unroll_plugin table = {16,          "bad",      "1",  "",   0,           0,   bad_create,
                                    bad_process, bad_finish, NULL, NULL, bad_destroy, NULL};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
