/* @NAME@: counts the tokens of a document and adds up their surprisal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unroll/plugin.h>

/* The state kept between blocks; saved and loaded as it is. */
typedef struct state {
  char tag[8]; /* of the plugin and its version */
  uint64_t tokens;
  double nats;
} state;
static const state kBegin = {"@TAG@", 0, 0};

typedef struct instance {
  const unroll_host* host;
  state s;
} instance;

static unroll_status fail(const unroll_host* host, unroll_status status, const char* text) {
  host->error(host, text, strlen(text));
  return status;
}

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** made) {
  if (bytes != 2 || memcmp(options, "{}", 2) != 0) {
    return fail(host, UNROLL_ERROR_OPTIONS, "it takes no options");
  }
  instance* self = malloc(sizeof *self);
  if (self == NULL) return fail(host, UNROLL_ERROR_INTERNAL, "out of memory");
  self->host = host;
  self->s = kBegin;
  *made = self;
  return UNROLL_OK;
}

static unroll_status process(void* made, const unroll_block* block) {
  state* s = &((instance*)made)->s;
  s->tokens += block->length;
  for (size_t i = 0; i < block->length; ++i) s->nats -= (double)block->logprobs[i];
  return UNROLL_OK;
}

static unroll_status finish(void* made, const unroll_document_end* end) {
  const instance* self = made;
  char json[128];
  (void)end;
  const int bytes = snprintf(json, sizeof json, "{\"tokens\":%llu,\"nats\":%.3f}",
                             (unsigned long long)self->s.tokens, self->s.nats);
  return self->host->emit(self->host, json, (size_t)bytes);
}

static unroll_status save(void* made) {
  const instance* self = made;
  return self->host->write(self->host, &self->s, sizeof self->s);
}

static unroll_status load(void* made, const void* data, size_t bytes) {
  instance* self = made;
  state s;
  if (bytes == sizeof s) memcpy(&s, data, sizeof s);
  if (bytes != sizeof s || memcmp(s.tag, kBegin.tag, sizeof s.tag) != 0 || !(s.nats >= 0 && s.nats < 1e18)) {
    return fail(self->host, UNROLL_ERROR_STATE, "not a state of @NAME@ 1");
  }
  self->s = s;
  return UNROLL_OK;
}

static void destroy(void* made) {
  free(made);
}

static const unroll_plugin table = {.size = sizeof(unroll_plugin),
                                    .name = "@NAME@",
                                    .version = "1",
                                    .description = "Counts tokens and their surprise",
                                    .create = create,
                                    .process = process,
                                    .finish = finish,
                                    .save = save,
                                    .load = load,
                                    .destroy = destroy};
static const unroll_plugin* const tables[] = {&table};
const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library), UNROLL_ABI_VERSION, 1, tables};
