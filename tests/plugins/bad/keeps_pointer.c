/* Reads the first block's text after the block was returned. */
#include "bad.h"

static unroll_status process(void* instance, const unroll_block* block) {
  bad_instance* self = instance;
  if (self->text == NULL && block->text_bytes > 0) self->text = block->text;
  return UNROLL_OK;
}
static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)end;
  const bad_instance* self = instance;
  return bad_emit(self->host, self->text != NULL && self->text[0] == '#' ? "true" : "false");
}
BAD_PLUGIN("bad", UNROLL_WANT_TEXT, bad_create, process, finish, NULL, NULL);
