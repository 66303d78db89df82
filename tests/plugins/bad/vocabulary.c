/* Valid: emits the bytes of the block's tokens, and of an id that does not exist. */
#include <stdio.h>

#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  const unroll_host* host = ((bad_instance*)instance)->host;
  const unroll_vocabulary* vocabulary = host->extension(host, UNROLL_EXTENSION_VOCABULARY);
  if (vocabulary == NULL) return bad_emit(host, "null");
  char json[200];
  size_t bytes = 0, none = 0;
  const char* token = vocabulary->token(host, block->tokens[0], &bytes);
  const char* beyond = vocabulary->token(host, vocabulary->count(host), &none);
  snprintf(json, sizeof json, "{\"count\":%d,\"first\":\"%.*s\",\"beyond\":%s}", (int)vocabulary->count(host),
           (int)bytes, token, beyond == NULL ? "null" : "0");
  return bad_emit(host, json);
}
static const void* extension(const char* name) {
  static const unroll_options options = {sizeof options, "{\"type\":\"object\"}"};
  return strcmp(name, UNROLL_EXTENSION_OPTIONS) == 0 ? &options : NULL;
}
static const unroll_plugin table = {
    sizeof(unroll_plugin), "vocabulary", "1", "", 0, 0, bad_create, process, bad_finish, NULL, NULL,
    bad_destroy,           extension};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
