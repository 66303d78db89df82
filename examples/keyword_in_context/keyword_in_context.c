/* The most surprising tokens of a document in their context, with what was expected instead:
 * `unroll run --plugin keyword-in-context FILE`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unroll/plugin.h>

enum { kKeywords = 10, kBefore = 32, kToken = 32, kExpected = 3 };
#define TAG "kwic0001"

typedef struct keyword {
  uint64_t offset;
  float logprob;
  uint32_t before_bytes, token_bytes;
  int32_t expected[kExpected];
  char before[kBefore], token[kToken];
} keyword;

/* The state between blocks; saved and loaded as it is. */
typedef struct state {
  char tag[8];
  uint32_t count, before_bytes;
  char before[kBefore];        /* the last bytes of the document so far */
  keyword keywords[kKeywords]; /* the most surprising first */
} state;

typedef struct instance {
  const unroll_host* host;
  state s;
} instance;

static unroll_status refuse(const unroll_host* host, unroll_status status, const char* text) {
  host->error(host, text, strlen(text));
  return status;
}

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** made) {
  if (bytes != 2 || memcmp(options, "{}", 2) != 0) {
    return refuse(host, UNROLL_ERROR_OPTIONS, "keyword-in-context takes no options");
  }
  instance* self = calloc(1, sizeof *self);
  if (self == NULL) return refuse(host, UNROLL_ERROR_INTERNAL, "out of memory");
  self->host = host;
  memcpy(self->s.tag, TAG, sizeof self->s.tag);
  *made = self;
  return UNROLL_OK;
}

/* The rank of a token among the most surprising; kKeywords if it is not one of them. */
static uint32_t place_of(const state* s, float logprob) {
  uint32_t at = s->count;
  while (at > 0 && logprob < s->keywords[at - 1].logprob) --at;
  return at;
}

static void keep(state* s, const unroll_block* block, size_t i, const char* text, size_t bytes) {
  const uint32_t at = place_of(s, block->logprobs[i]);
  if (at == kKeywords) return;
  if (s->count < kKeywords) ++s->count;
  memmove(s->keywords + at + 1, s->keywords + at, (s->count - 1 - at) * sizeof s->keywords[0]);
  keyword* k = &s->keywords[at];
  memset(k, 0, sizeof *k);
  k->offset = block->offsets[i];
  k->logprob = block->logprobs[i];
  k->before_bytes = s->before_bytes;
  memcpy(k->before, s->before, s->before_bytes);
  k->token_bytes = (uint32_t)(bytes < kToken ? bytes : kToken);
  memcpy(k->token, text, k->token_bytes);
  for (int e = 0; e < kExpected; ++e) k->expected[e] = block->top_ids[i * (size_t)block->top_k + (size_t)e];
}

static void remember(state* s, const char* text, size_t bytes) {
  if (bytes > kBefore) {
    text += bytes - kBefore;
    bytes = kBefore;
  }
  const size_t kept = s->before_bytes + bytes > kBefore ? kBefore - bytes : s->before_bytes;
  memmove(s->before, s->before + s->before_bytes - kept, kept);
  memcpy(s->before + kept, text, bytes);
  s->before_bytes = (uint32_t)(kept + bytes);
}

static unroll_status process(void* made, const unroll_block* block) {
  state* s = &((instance*)made)->s;
  for (size_t i = 0; i < block->length; ++i) {
    const char* text = block->text + (block->offsets[i] - block->offsets[0]);
    const size_t bytes = (size_t)(block->offsets[i + 1] - block->offsets[i]);
    if (bytes > 0) keep(s, block, i, text, bytes);
    remember(s, text, bytes);
  }
  return UNROLL_OK;
}

/* Writes a JSON string, with an escape for each byte that is not printable ASCII. Returns its end. */
static char* quote(char* to, const char* text, size_t bytes) {
  *to++ = '"';
  for (size_t i = 0; i < bytes; ++i) {
    const unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
      to += sprintf(to, "\\u%04x", c);
    } else {
      *to++ = (char)c;
    }
  }
  *to++ = '"';
  return to;
}

static char* expected(char* to, const unroll_host* host, const keyword* k) {
  const unroll_vocabulary* vocabulary = host->extension(host, UNROLL_EXTENSION_VOCABULARY);
  for (int e = 0; vocabulary != NULL && e < kExpected; ++e) {
    size_t bytes = 0;
    const char* token = vocabulary->token(host, k->expected[e], &bytes);
    if (e > 0) *to++ = ',';
    to = quote(to, token, token == NULL ? 0 : bytes < kToken ? bytes : kToken);
  }
  return to;
}

static unroll_status finish(void* made, const unroll_document_end* end) {
  const instance* self = made;
  (void)end;
  /* Room for a keyword's strings, with each byte as an escape, and its numbers. */
  char json[64 + kKeywords * (6 * (kBefore + kToken + kExpected * kToken) + 200)];
  char* to = json + sprintf(json, "{\"keywords\":[");
  for (uint32_t i = 0; i < self->s.count; ++i) {
    const keyword* k = &self->s.keywords[i];
    const double bits = -(double)k->logprob / 0.6931471805599453;
    to += sprintf(to, "%s{\"offset\":%llu,\"bits\":%.2f,\"before\":", i > 0 ? "," : "",
                  (unsigned long long)k->offset, bits);
    to = quote(to, k->before, k->before_bytes);
    to += sprintf(to, ",\"token\":");
    to = quote(to, k->token, k->token_bytes);
    to += sprintf(to, ",\"expected\":[");
    to = expected(to, self->host, k);
    to += sprintf(to, "]}");
  }
  to += sprintf(to, "]}");
  return self->host->emit(self->host, json, (size_t)(to - json));
}

static unroll_status save(void* made) {
  const instance* self = made;
  return self->host->write(self->host, &self->s, sizeof self->s);
}

static unroll_status load(void* made, const void* data, size_t bytes) {
  instance* self = made;
  state s;
  if (bytes != sizeof s) return UNROLL_ERROR_STATE;
  memcpy(&s, data, sizeof s);
  int sound = memcmp(s.tag, TAG, sizeof s.tag) == 0 && s.count <= kKeywords && s.before_bytes <= kBefore;
  for (uint32_t i = 0; sound && i < s.count; ++i) {
    const keyword* k = &s.keywords[i];
    sound = k->before_bytes <= kBefore && k->token_bytes <= kToken && k->logprob <= 0 && k->logprob > -1e6f;
  }
  if (!sound) return refuse(self->host, UNROLL_ERROR_STATE, "not a state of keyword-in-context 1");
  self->s = s;
  return UNROLL_OK;
}

static void destroy(void* made) {
  free(made);
}

static const void* extension(const char* name) {
  static const unroll_options kOptions = {sizeof(unroll_options),
                                          "{\"type\":\"object\",\"additionalProperties\":false}"};
  return strcmp(name, UNROLL_EXTENSION_OPTIONS) == 0 ? &kOptions : NULL;
}

static const unroll_plugin table = {.size = sizeof(unroll_plugin),
                                    .name = "keyword-in-context",
                                    .version = "1",
                                    .description = "The most surprising tokens, and what was expected",
                                    .wants = UNROLL_WANT_TEXT | UNROLL_WANT_TOP_K,
                                    .top_k = kExpected,
                                    .create = create,
                                    .process = process,
                                    .finish = finish,
                                    .save = save,
                                    .load = load,
                                    .destroy = destroy,
                                    .extension = extension};
static const unroll_plugin* const tables[] = {&table};
const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library), UNROLL_ABI_VERSION, 1,
                                                   tables};
