/* Emits whether it may open a socket, write a file, and have its parent sent a signal: the errno of each, 0
 * if it may. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bad.h"

static unroll_status finish(void* instance, const unroll_document_end* end) {
  (void)end;
  char json[100];
  const int network = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
  const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) < 0 ? errno : 0;
  int pipes[2];
  const int signal = pipe(pipes) < 0 || fcntl(pipes[0], F_SETOWN, getppid()) < 0 ? errno : 0;
  snprintf(json, sizeof json, "{\"network\":%d,\"file\":%d,\"signal\":%d}", network, file, signal);
  return bad_emit(((bad_instance*)instance)->host, json);
}
BAD_PLUGIN("reaches-out", 0, bad_create, bad_process, finish, bad_save, bad_load);
