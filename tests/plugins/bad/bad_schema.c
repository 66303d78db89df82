/* Its options' schema is truncated. */
#include "bad.h"

static const unroll_options options = {sizeof(unroll_options), "{\"type\": \"object\", "};
static const void* extension(const char* name) {
  return strcmp(name, UNROLL_EXTENSION_OPTIONS) == 0 ? &options : NULL;
}
static const unroll_plugin table = {
    sizeof(unroll_plugin), "bad",      "1",      "",       0,           0,        bad_create,
    bad_process,           bad_finish, bad_save, bad_load, bad_destroy, extension};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
