/* A fork leaves something behind even if nothing was read before. */
#include "bad.h"

static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)end;
  return bad_emit(((bad_instance*)instance)->host, ((bad_instance*)instance)->tokens == 1 ? "1" : "2");
}
static unroll_status fork_it(void* instance, const unroll_fork_point* point) {
  (void)point;
  ((bad_instance*)instance)->tokens = 1;
  return UNROLL_OK;
}
static const unroll_fork fork_table = {sizeof(unroll_fork), fork_it};
static const void* extension(const char* name) {
  return strcmp(name, UNROLL_EXTENSION_FORK) == 0 ? &fork_table : NULL;
}
static const unroll_plugin table = {sizeof(unroll_plugin),
                                    "bad",
                                    "1",
                                    "does one thing wrong",
                                    0,
                                    0,
                                    bad_create,
                                    bad_process,
                                    finish,
                                    bad_save,
                                    bad_load,
                                    bad_destroy,
                                    extension};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
