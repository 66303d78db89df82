/* Opens the file that the options of the last instance name, and emits the errno, 0 if it can. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bad.h"

static char path[4096];

static unroll_status create(const unroll_host* host, const char* options, size_t bytes, void** instance) {
  (void)bytes;
  sscanf(options, "{\"file\":\"%4095[^\"]\"}", path);
  return bad_create(host, NULL, 0, instance);
}
static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)end;
  char json[32];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  snprintf(json, sizeof json, "{\"errno\":%d}", file < 0 ? errno : 0);
  if (file >= 0) close(file);
  return bad_emit(((bad_instance*)instance)->host, json);
}
BAD_PLUGIN("reads", 0, create, bad_process, finish, bad_save, bad_load);
