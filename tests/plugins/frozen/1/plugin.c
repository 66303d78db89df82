/* Built against the header beside it alone, and run by every host from then on. Uses all of ABI 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unroll/plugin.h>

typedef struct instance {
  const unroll_host* host;
  uint64_t tokens, text_bytes;
} instance;

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** made) {
  if (bytes < 2 || options[0] != '{') return UNROLL_ERROR_OPTIONS;
  if (bytes > 2) {
    static const char kText[] = "it takes no options";
    host->error(host, kText, sizeof kText - 1);
    return UNROLL_ERROR_OPTIONS;
  }
  instance* self = calloc(1, sizeof *self);
  if (self == NULL) return UNROLL_ERROR_INTERNAL;
  self->host = host;
  *made = self;
  host->log(host, 0, "made", 4);
  return UNROLL_OK;
}
static unroll_status process(void* made, const unroll_block* block) {
  instance* self = made;
  self->tokens += block->length;
  self->text_bytes += block->text_bytes;
  if (block->index != 0) return UNROLL_OK;
  char json[200];
  const int count = snprintf(json, sizeof json,
                             "{\"first_token\":%d,\"token\":%d,\"bytes\":%d,\"logprob\":%d,\"entropy\":%d,"
                             "\"dim\":%d,\"hidden\":%d,\"text\":%d,"
                             "\"top_k\":%d}",
                             (int)block->first_token, (int)block->tokens[0],
                             (int)(block->offsets[block->length] - block->offsets[0]),
                             (int)block->logprobs[0], (int)block->entropy[0], (int)block->hidden->shape[1],
                             (int)((const float*)block->hidden->data)[0],
                             block->text_bytes > 0 ? (unsigned char)block->text[0] : 0, (int)block->top_k);
  return self->host->emit(self->host, json, (size_t)count);
}
static unroll_status finish(void* made, const unroll_document_end* end) {
  instance* self = made;
  char json[100];
  const int count = snprintf(json, sizeof json, "{\"tokens\":%d,\"text_bytes\":%d,\"end\":[%d,%d]}",
                             (int)self->tokens, (int)self->text_bytes, (int)end->tokens, (int)end->bytes);
  return self->host->emit(self->host, json, (size_t)count);
}
static unroll_status save(void* made) {
  instance* self = made;
  const unroll_status status = self->host->write(self->host, &self->tokens, sizeof self->tokens);
  if (status != UNROLL_OK) return status;
  return self->host->write(self->host, &self->text_bytes, sizeof self->text_bytes);
}
static unroll_status load(void* made, const void* data, size_t bytes) {
  instance* self = made;
  if (bytes != 2 * sizeof self->tokens) return UNROLL_ERROR_STATE;
  memcpy(&self->tokens, data, sizeof self->tokens);
  memcpy(&self->text_bytes, (const char*)data + sizeof self->tokens, sizeof self->text_bytes);
  return UNROLL_OK;
}
static void destroy(void* made) {
  free(made);
}
static const void* extension(const char* name) {
  static const unroll_options kOptions = {sizeof(unroll_options), "{\"type\":\"object\",\"properties\":{}}"};
  return strcmp(name, UNROLL_EXTENSION_OPTIONS) == 0 ? &kOptions : NULL;
}

static const unroll_plugin table = {
    sizeof(unroll_plugin),
    "frozen-1",
    "1",
    "As it was promised",
    UNROLL_WANT_ENTROPY | UNROLL_WANT_HIDDEN | UNROLL_WANT_TEXT | UNROLL_WANT_TOP_K,
    2,
    create,
    process,
    finish,
    save,
    load,
    destroy,
    extension};
static const unroll_plugin* const tables[] = {&table};
UNROLL_EXPORT const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library),
                                                                 UNROLL_ABI_VERSION, 1, tables};
