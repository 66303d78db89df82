/* Built, as it were, against a later header: its structs are longer, and it asks for what today's host lacks.
 */
#include "../bad/bad.h"

typedef struct future_plugin {
  unroll_plugin known;
  unroll_status (*reread)(void* instance);
  uint64_t more[16];
} future_plugin;
typedef struct future_library {
  unroll_plugin_library known;
  const char* publisher;
} future_library;

static unroll_status finish(void* made, const unroll_document_end* end) {
  const unroll_host* host = ((bad_instance*)made)->host;
  (void)end;
  return bad_emit(host, host->extension(host, "unroll.telepathy/9") == NULL ? "{\"telepathy\":false}" : "{}");
}
static unroll_status reread(void* made) {
  (void)made;
  abort(); /* no host of today may find it */
}
static const future_plugin table = {{sizeof(future_plugin), "from-the-future", "9", "", 0, 0, bad_create,
                                     bad_process, finish, bad_save, bad_load, bad_destroy, NULL},
                                    reread,
                                    {1, 2, 3}};
static const unroll_plugin* const tables[] = {&table.known};
UNROLL_EXPORT extern const future_library entry __asm__("unroll_plugin_entry");
const future_library entry = {{sizeof(future_library), UNROLL_ABI_VERSION, 1, tables}, "nobody"};
