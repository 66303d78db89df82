/* A library whose functions name every type of plugin.h, for abidw and abidiff. */
#include <unroll/plugin.h>

UNROLL_EXPORT void surface_library(const unroll_plugin_library* library, const unroll_plugin* plugin);
void surface_library(const unroll_plugin_library* library, const unroll_plugin* plugin) {
  (void)library, (void)plugin;
}
UNROLL_EXPORT unroll_status surface_host(const unroll_host* host, const unroll_block* block,
                                         const unroll_document_end* end);
unroll_status surface_host(const unroll_host* host, const unroll_block* block,
                           const unroll_document_end* end) {
  (void)host, (void)block, (void)end;
  return UNROLL_OK;
}
UNROLL_EXPORT void surface_extensions(const unroll_vocabulary* vocabulary, const unroll_options* options);
void surface_extensions(const unroll_vocabulary* vocabulary, const unroll_options* options) {
  (void)vocabulary, (void)options;
}
